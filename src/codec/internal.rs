//! Records that leadstream writes for itself: definitions, inbox entries, switches between inputs.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec::avro::{self, Error};
use crate::codec::rows;
use crate::domain::experiment::{Counts, ExperimentKey, Tally};
use crate::domain::rules::Definition;
use crate::domain::units::{AppendTime, EventTime, Offset, Partition, Tenant};
use crate::pipeline::{Key, Row};

#[derive(Serialize, Deserialize)]
#[serde(rename = "LeadstreamDefinition")]
struct WireDefinition {
    tenant_id: Option<String>,
    kind: String,
    name: String,
    version: i32,
    effective_at: i64,
    body: String,
}

fn broken(what: &str) -> Error {
    Error::Datum(what.to_owned())
}

/// A value of `leadstream.definitions.v1`.
#[must_use]
pub fn definition_bytes(definition: &Definition) -> Vec<u8> {
    avro::DEFINITIONS.encode(&WireDefinition {
        tenant_id: definition.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
        kind: definition.kind.clone(),
        name: definition.name.clone(),
        version: i32::try_from(definition.version).unwrap_or(i32::MAX),
        effective_at: definition.effective_at.0,
        body: definition.body.clone(),
    })
}

/// Reads a value of `leadstream.definitions.v1`; the body is not looked at.
///
/// # Errors
/// [`Error`].
pub fn definition(bytes: &[u8]) -> Result<Definition, Error> {
    avro::DEFINITIONS.decode::<WireDefinition>(bytes)?.try_into()
}

impl TryFrom<WireDefinition> for Definition {
    type Error = Error;

    fn try_from(wire: WireDefinition) -> Result<Self, Error> {
        Ok(Self {
            tenant: wire
                .tenant_id
                .as_deref()
                .map(Tenant::new)
                .transpose()
                .map_err(|error| broken(&error.to_string()))?,
            kind: wire.kind,
            name: wire.name,
            version: u32::try_from(wire.version)
                .map_err(|_| broken("version must be 1 or more"))?,
            effective_at: EventTime(wire.effective_at),
            body: wire.body,
        })
    }
}

/// The key of a definition: `tenant:kind:name:version`, with `*` for all tenants.
#[must_use]
pub fn definition_key(definition: &Definition) -> String {
    let Definition { tenant, kind, name, version, .. } = definition;
    format!("{}:{kind}:{name}:{version}", tenant.as_ref().map_or("*", Tenant::as_str))
}

/// What comes back to a partition from inside.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxEntry {
    /// The clock of the world, applied once interactions were taken up to `after`.
    Tick {
        /// The time.
        at: AppendTime,
        /// Next offset of the interactions when it was written.
        after: Offset,
    },
    /// All counts of an experiment in one partition so far.
    PartitionReport {
        /// The experiment.
        experiment: ExperimentKey,
        /// The partition that counted.
        source: Partition,
        /// Newest event time counted.
        at: EventTime,
        /// The counts.
        tally: Tally,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "InboxEntry")]
struct WireEntry {
    kind: String,
    at: i64,
    tick: Option<WireTick>,
    completion: Option<WireCompletion>,
    report: Option<WireReport>,
    erase: Option<WireErase>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Tick")]
struct WireTick {
    after: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "PartitionReport")]
struct WireReport {
    tenant_id: String,
    experiment: String,
    version: i32,
    source: i32,
    counts: Vec<WireCounts>,
    tally: Option<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Completion")]
struct WireCompletion {
    req_id: String,
    event_id: String,
    tenant_id: String,
    lead_id: String,
    prompt_id: String,
    text: String,
    model: String,
    error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Erase")]
struct WireErase {
    tenant_id: String,
    lead_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "ArmCounts")]
pub(crate) struct WireCounts {
    arm: String,
    exposed_units: i64,
    exposures: i64,
    replies: i64,
    appointments: i64,
    conversions: i64,
    losses: i64,
    revenue_minor: i64,
}

pub(crate) fn arms(tally: &Tally) -> Vec<WireCounts> {
    let long = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let arm = |(arm, counts): (&String, &Counts)| WireCounts {
        arm: arm.clone(),
        exposed_units: long(counts.exposed_units),
        exposures: long(counts.exposures),
        replies: long(counts.replies),
        appointments: long(counts.appointments),
        conversions: long(counts.conversions),
        losses: long(counts.losses),
        revenue_minor: counts.revenue_minor,
    };
    tally.arms.iter().map(arm).collect()
}

fn tally(arms: Vec<WireCounts>) -> Tally {
    let count = |long: i64| u64::try_from(long).unwrap_or(0);
    let arm = |wire: WireCounts| {
        let counts = Counts {
            exposed_units: count(wire.exposed_units),
            exposures: count(wire.exposures),
            replies: count(wire.replies),
            appointments: count(wire.appointments),
            conversions: count(wire.conversions),
            losses: count(wire.losses),
            revenue_minor: wire.revenue_minor,
        };
        (wire.arm, counts)
    };
    Tally { arms: arms.into_iter().map(arm).collect(), ..Tally::default() }
}

/// A value of `leadstream.inbox.v1`.
#[must_use]
pub fn inbox_bytes(entry: &InboxEntry) -> Vec<u8> {
    let wire = |kind: &str, at: i64| WireEntry {
        kind: kind.to_owned(),
        at,
        tick: None,
        completion: None,
        report: None,
        erase: None,
    };
    let int = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    avro::INBOX.encode(&match entry {
        InboxEntry::Tick { at, after } => WireEntry {
            tick: Some(WireTick { after: i64::try_from(after.0).unwrap_or(i64::MAX) }),
            ..wire("tick", at.0)
        },
        InboxEntry::PartitionReport { experiment, source, at, tally } => WireEntry {
            report: Some(WireReport {
                tenant_id: experiment.tenant.as_str().to_owned(),
                experiment: experiment.name.clone(),
                version: int(experiment.version),
                source: int(source.0),
                counts: arms(tally),
                tally: Some(ByteBuf::from(rows::row_bytes(&Row::Tally(tally.clone())))),
            }),
            ..wire("report", at.0)
        },
    })
}

/// Reads a value of `leadstream.inbox.v1`.
///
/// # Errors
/// [`Error`], also for a kind that this release does not know.
pub fn inbox(bytes: &[u8]) -> Result<InboxEntry, Error> {
    let wire: WireEntry = avro::INBOX.decode(bytes)?;
    if let ("tick", Some(tick)) = (wire.kind.as_str(), &wire.tick) {
        let after = u64::try_from(tick.after).map_err(|_| broken("after is below 0"))?;
        return Ok(InboxEntry::Tick { at: AppendTime(wire.at), after: Offset(after) });
    }
    let ("report", Some(report)) = (wire.kind.as_str(), wire.report) else {
        return Err(broken("inbox entry of an unknown kind"));
    };
    let experiment = ExperimentKey {
        tenant: Tenant::new(&report.tenant_id).map_err(|error| broken(&error.to_string()))?,
        name: report.experiment,
        version: u32::try_from(report.version).map_err(|_| broken("version is below 0"))?,
    };
    let source = Partition(u32::try_from(report.source).map_err(|_| broken("source is below 0"))?);
    let tally = match report.tally {
        Some(bytes) => whole(&experiment, &bytes)?,
        None => tally(report.counts),
    };
    Ok(InboxEntry::PartitionReport { experiment, source, at: EventTime(wire.at), tally })
}

fn whole(experiment: &ExperimentKey, bytes: &[u8]) -> Result<Tally, Error> {
    let row = rows::row(&Key::Tally(experiment.clone()), bytes)
        .map_err(|error| broken(&error.to_string()))?;
    row.into_tally().ok_or_else(|| broken("no tally"))
}

/// From here on a partition reads another input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The partition.
    pub partition: Partition,
    /// `interactions`, `inbox` or `definitions`.
    pub input: String,
    /// Next offsets of interactions, inbox and definitions.
    pub next: [Offset; 3],
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Switch")]
struct WireSwitch {
    partition: i32,
    input: String,
    next_interactions: i64,
    next_inbox: i64,
    next_definitions: i64,
}

/// A value of `leadstream.order.v1`.
#[must_use]
pub fn switch_bytes(switch: &Switch) -> Vec<u8> {
    let [interactions, inbox, definitions] =
        switch.next.map(|offset| i64::try_from(offset.0).unwrap_or(i64::MAX));
    avro::ORDER.encode(&WireSwitch {
        partition: i32::try_from(switch.partition.0).unwrap_or(i32::MAX),
        input: switch.input.clone(),
        next_interactions: interactions,
        next_inbox: inbox,
        next_definitions: definitions,
    })
}

/// Reads a value of `leadstream.order.v1`.
///
/// # Errors
/// [`Error`].
pub fn switch(bytes: &[u8]) -> Result<Switch, Error> {
    let wire: WireSwitch = avro::ORDER.decode(bytes)?;
    let offset =
        |long: i64| u64::try_from(long).map(Offset).map_err(|_| broken("an offset is below 0"));
    Ok(Switch {
        partition: Partition(
            u32::try_from(wire.partition).map_err(|_| broken("partition is below 0"))?,
        ),
        input: wire.input,
        next: [
            offset(wire.next_interactions)?,
            offset(wire.next_inbox)?,
            offset(wire.next_definitions)?,
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::attribution::journeys::Journeys;
    use crate::domain::experiment::by_agent::{ByAgent, Period};
    use crate::domain::experiment::outcome::Outcome;
    use crate::domain::experiment::stratum::Stratum;
    use crate::domain::experiment::tally::{Agents, Cell, Cohort, Covaried, Group};
    use crate::domain::journey;

    #[test]
    fn internal_records_survive_and_cut_ones_are_errors() {
        let mut tally =
            Tally::of("assertive", Counts { exposures: 3, revenue_minor: -7, ..Counts::default() });
        let cells = vec![
            Cell::of(Outcome { value: -5, base: 7 }),
            Cell { squares: i128::MAX, products: i128::MIN, ..Cell::default() },
        ];
        let covaried = Covaried { sum: -9, squares: 300, products: i128::MIN };
        let group = Group {
            units: 1,
            cells,
            waits: [(9, 4)].into(),
            covaried,
            strata: [(7, Stratum { units: 2, nonzero: 1, sum: -3, squares: 9 })].into(),
        };
        tally.agents = Agents::of("assertive", "agent-1", group.clone());
        let sums = Stratum { units: 1, nonzero: 1, sum: i128::MIN, squares: i128::MAX };
        tally.by_agent =
            ByAgent::of("agent-2", Period { number: -9, version: 3 }, Some(("assertive", sums)));
        tally.multi_exposed = 3;
        tally.journeys =
            Arc::new(Journeys::of(&[("assertive", 5.0), ("own", 1.0)], journey::Outcome::Won));
        tally.cohorts.insert(
            Cohort { day: -3, version: 2 },
            Arc::new([("assertive".to_owned(), group)].into()),
        );
        let experiment =
            ExperimentKey { tenant: Tenant::new("acme").unwrap(), name: "tone".into(), version: 2 };
        let entries = [
            InboxEntry::Tick { at: AppendTime(5), after: Offset(9) },
            InboxEntry::PartitionReport {
                experiment: experiment.clone(),
                source: Partition(3),
                at: EventTime(-1),
                tally: tally.clone(),
            },
        ];
        for entry in entries {
            let bytes = inbox_bytes(&entry);
            assert_eq!(inbox(&bytes).unwrap(), entry);
            assert!((0..bytes.len()).all(|end| inbox(&bytes[..end]).is_err()));
        }
        let change = Switch {
            partition: Partition(1),
            input: "inbox".into(),
            next: [Offset(1), Offset(2), Offset(3)],
        };
        assert_eq!(switch(&switch_bytes(&change)).unwrap(), change);
        for tenant in [None, Some(Tenant::new("acme").unwrap())] {
            let reported = Definition {
                tenant,
                kind: "stages".into(),
                name: "x".into(),
                version: 1,
                effective_at: EventTime(7),
                body: r#"{"names":{}}"#.into(),
            };
            assert_eq!(definition(&definition_bytes(&reported)).unwrap(), reported);
        }
    }
}
