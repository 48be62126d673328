//! The rows of a partition: what they are called, what they hold, and what a step needs from
//! whoever keeps them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::experiment::{ExperimentKey, Tally};
use crate::domain::lead::Lead;
use crate::domain::units::{EventTime, LeadKey, Offset, Tenant};
use crate::pipeline::{ExperimentReport, Outcome, PartitionReport};

/// CRM stage names counted per tenant by name; further ones are counted together.
const UNMAPPED_NAMES_MAX: usize = 100;
/// Bytes of a CRM stage name that are kept.
const UNMAPPED_NAME_BYTES_MAX: usize = 64;

/// The three inputs of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputTopic {
    /// `lead.interactions.v1`.
    #[default]
    Interactions,
    /// `leadstream.inbox.v1`.
    Inbox,
    /// `leadstream.definitions.v1`, the same single partition for all.
    Definitions,
}

impl InputTopic {
    /// In the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Interactions, Self::Inbox, Self::Definitions];

    /// The name in the order topic.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactions => "interactions",
            Self::Inbox => "inbox",
            Self::Definitions => "definitions",
        }
    }
}

/// How far a partition took its inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Next offset by [`InputTopic`].
    pub next: [Offset; 3],
    /// Which input was taken last.
    pub current: InputTopic,
    /// Whether its next record has begun: its timers did not fit into one commit. It goes on before
    /// anything else is taken.
    pub has_begun: bool,
}

/// Name of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A lead.
    Lead(LeadKey),
    /// The clock of a tenant in this partition.
    Clock(Tenant),
    /// The counts of an experiment in this partition.
    Tally(ExperimentKey),
    /// Which partitions have reported of an experiment, kept in the experiment's own.
    ExperimentReport(ExperimentKey),
    /// What a partition reported of an experiment, kept there too.
    PartitionReport(ExperimentKey, u32),
    /// What the partition of an experiment wrote of it itself.
    EmittedVersion(ExperimentKey),
    /// How the inputs of one source came out; 0: those of no ingest run.
    Counters(u32),
    /// CRM stage names of a tenant that no map knows.
    Unmapped(Tenant),
    /// How far the inputs were taken, where the log does not keep that itself.
    Positions,
}

/// A row, of the kind its key names.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// See [`Key::Lead`].
    Lead(Box<Lead>),
    /// See [`Key::Clock`].
    Clock(Clock),
    /// See [`Key::Tally`].
    Tally(Tally),
    /// See [`Key::ExperimentReport`].
    ExperimentReport(ExperimentReport),
    /// See [`Key::PartitionReport`].
    PartitionReport(PartitionReport),
    /// See [`Key::EmittedVersion`].
    EmittedVersion(EmittedVersion),
    /// See [`Key::Counters`].
    Counters(Counters),
    /// See [`Key::Unmapped`].
    Unmapped(Unmapped),
    /// See [`Key::Positions`].
    Positions(Positions),
}

macro_rules! into {
    ($($(#[$doc:meta])* $name:ident $variant:ident $type:ty),+ $(,)?) => {
        impl Row {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(self) -> Option<$type> {
                if let Self::$variant(row) = self { Some(row) } else { None }
            })+
        }
    };
}

into! {
    /// The lead; `None` for a row of another kind.
    into_lead Lead Box<Lead>,
    /// The clock; `None` for a row of another kind.
    into_clock Clock Clock,
    /// The tally; `None` for a row of another kind.
    into_tally Tally Tally,
    /// The trial; `None` for a row of another kind.
    into_experiment_report ExperimentReport ExperimentReport,
    /// The report; `None` for a row of another kind.
    into_partition_report PartitionReport PartitionReport,
    /// What was written; `None` for a row of another kind.
    into_emitted_version EmittedVersion EmittedVersion,
    /// The counters; `None` for a row of another kind.
    into_counters Counters Counters,
    /// The names; `None` for a row of another kind.
    into_unmapped Unmapped Unmapped,
    /// The positions; `None` for a row of another kind.
    into_positions Positions Positions,
}

/// The clock on which a tenant's timers fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Newest event time of the tenant in this partition, or a later tick.
    pub at: EventTime,
    /// Whether the last event came within the allowed lateness of its time: only then do ticks move
    /// the clock.
    pub live: bool,
}

/// What the partition of an experiment wrote of it itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmittedVersion {
    /// The newest version; 0 before any.
    pub version: u32,
    /// The newest epoch of a bandit whose weights were looked at; 0 before any.
    pub epoch: i64,
}

/// How inputs came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Applied.
    pub advanced: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Too late.
    pub late: u64,
    /// Unusable.
    pub dead_lettered: u64,
}

impl Counters {
    /// Counts one input; internal ones are no interactions and not counted.
    pub fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Advanced => &mut self.advanced,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Late => &mut self.late,
            Outcome::DeadLettered => &mut self.dead_lettered,
            Outcome::Internal => return,
        } += 1;
    }

    /// Adds the counts of another partition.
    pub fn merge(&mut self, other: &Self) {
        self.advanced += other.advanced;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.dead_lettered += other.dead_lettered;
    }

    /// All inputs.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.advanced + self.duplicate + self.late + self.dead_lettered
    }
}

impl std::fmt::Display for Counters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { advanced, duplicate, late, dead_lettered } = self;
        write!(
            out,
            "received={} advanced={advanced} duplicate={duplicate} late={late} \
                dead_lettered={dead_lettered}",
            self.received()
        )
    }
}

/// CRM stage names that no map knows, with how often each came; at most a hundred names, the rest
/// counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    /// By name, at most 64 bytes of it.
    pub names: BTreeMap<String, u64>,
    /// Of all names beyond the bound.
    pub others: u64,
}

impl Unmapped {
    /// Counts a name.
    pub fn count(&mut self, name: &str) {
        let end = (0..=UNMAPPED_NAME_BYTES_MAX.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end))
            .unwrap_or(0);
        let name = &name[..end];
        if let Some(times) = self.names.get_mut(name) {
            *times += 1;
        } else if self.names.len() < UNMAPPED_NAMES_MAX {
            self.names.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }
}

/// What a step reads and writes of a partition.
pub trait StateStore {
    /// Why a row cannot be loaded.
    type Error;

    /// A row; `None` when there is none.
    ///
    /// # Errors
    /// When the store fails.
    fn load(&mut self, key: &Key) -> Result<Option<Row>, Self::Error>;

    /// Changes a lead, a new one where there is none, and moves its timer. Where `change` gives an
    /// error, the lead must be as it was, and nothing is stored.
    ///
    /// # Errors
    /// When the store fails; the inner result is that of `change`.
    fn update<T, E>(
        &mut self,
        key: &LeadKey,
        change: impl FnOnce(&mut Lead) -> Result<T, E>,
    ) -> Result<Result<T, E>, Self::Error>;

    /// Stores a row; `None` ends it.
    fn save(&mut self, key: Key, row: Option<Row>);

    /// The first lead of a tenant that is due at or before `until`.
    fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)>;

    /// Tenants with somebody due at or before `until`, in order.
    fn tenants_due(&self, until: EventTime) -> Vec<Tenant>;
}

/// Which leads are due when: derived from the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timers {
    tenants: BTreeMap<Tenant, BTreeSet<(EventTime, LeadKey)>>,
}

impl FromIterator<(LeadKey, EventTime)> for Timers {
    /// Leads that are due, each once. Many at once cost less than one by one.
    fn from_iter<T: IntoIterator<Item = (LeadKey, EventTime)>>(leads: T) -> Self {
        let mut tenants: BTreeMap<Tenant, Vec<(EventTime, LeadKey)>> = BTreeMap::new();
        for (lead, due) in leads {
            match tenants.get_mut(lead.tenant()) {
                Some(leads) => leads.push((due, lead)),
                None => drop(tenants.insert(lead.tenant().clone(), vec![(due, lead)])),
            }
        }
        Self {
            tenants: tenants
                .into_iter()
                .map(|(tenant, leads)| (tenant, leads.into_iter().collect()))
                .collect(),
        }
    }
}

impl Timers {
    /// Moves the timer of a lead.
    pub fn reschedule(
        &mut self,
        key: &LeadKey,
        before: Option<EventTime>,
        after: Option<EventTime>,
    ) {
        let leads = self.tenants.entry(key.tenant().clone()).or_default();
        if let Some(before) = before {
            leads.remove(&(before, key.clone()));
        }
        if let Some(after) = after {
            leads.insert((after, key.clone()));
        }
        if leads.is_empty() {
            self.tenants.remove(key.tenant());
        }
    }

    /// See [`StateStore::first_due`].
    #[must_use]
    pub fn first(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)> {
        self.tenants.get(tenant)?.first().filter(|(due, _)| *due <= until).cloned()
    }

    /// See [`StateStore::tenants_due`].
    #[must_use]
    pub fn tenants(&self, until: EventTime) -> Vec<Tenant> {
        let due = self
            .tenants
            .iter()
            .filter(|(_, leads)| leads.first().is_some_and(|(due, _)| *due <= until));
        due.map(|(tenant, _)| tenant.clone()).collect()
    }
}
