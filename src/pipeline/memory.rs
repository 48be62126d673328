//! All rows of a partition in memory: the driver of tests, of `replay` and of `evaluate`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::domain::lead::Lead;
use crate::domain::rules::Rules;
use crate::domain::units::{EventTime, LeadKey, Tenant};
use crate::pipeline::{Effect, Input, Key, Outcome, Row, StateStore, Taken, Timers, take};

/// All rows of a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// `None` while a lead is being changed.
    leads: BTreeMap<LeadKey, Option<Box<Lead>>>,
    /// All other rows: few beside the leads, so that they are found fast.
    others: BTreeMap<Key, Row>,
    due: Timers,
}

impl StateStore for Memory {
    type Error = Infallible;

    fn load(&mut self, key: &Key) -> Result<Option<Row>, Infallible> {
        Ok(match key {
            Key::Lead(key) => self.lead(key).cloned().map(|lead| Row::Lead(Box::new(lead))),
            other => self.others.get(other).cloned(),
        })
    }

    fn lend(&mut self, key: &LeadKey) -> Result<Option<Box<Lead>>, Infallible> {
        Ok(self.leads.get_mut(key).and_then(Option::take))
    }

    fn keep(&mut self, key: &LeadKey, lead: Box<Lead>) {
        // A late event of a lead that nobody knows leaves no row.
        if let Some(place) = self.leads.get_mut(key) {
            *place = Some(lead);
        }
    }

    fn save(&mut self, key: Key, row: Option<Row>) {
        match (key, row) {
            (Key::Lead(key), Some(Row::Lead(lead))) => {
                self.leads.insert(key, Some(lead));
            }
            (Key::Lead(key), _) => {
                self.leads.remove(&key);
            }
            (key, Some(row)) => {
                self.others.insert(key, row);
            }
            (key, None) => {
                self.others.remove(&key);
            }
        }
    }

    fn reschedule(&mut self, key: &LeadKey, before: Option<EventTime>, after: Option<EventTime>) {
        self.due.reschedule(key, before, after);
    }

    fn first_due(&self, tenant: &Tenant, until: EventTime) -> Option<(EventTime, LeadKey)> {
        self.due.first(tenant, until)
    }

    fn tenants_due(&self, until: EventTime) -> Vec<Tenant> {
        self.due.tenants(until)
    }
}

impl Memory {
    /// Takes one input to its end.
    pub fn run(&mut self, rules: &Rules, input: &Input, effects: &mut Vec<Effect>) -> Outcome {
        loop {
            let mut budget = usize::MAX;
            match take(rules, self, input, &mut budget, effects) {
                Ok(Taken::Done(outcome)) => return outcome,
                Ok(Taken::Paused) => {}
            }
        }
    }

    /// All rows, by key.
    pub fn rows(&self) -> impl Iterator<Item = (Key, Row)> {
        let leads = self
            .leads
            .iter()
            .filter_map(|(key, lead)| Some((Key::Lead(key.clone()), Row::Lead(lead.clone()?))));
        leads.chain(self.others.iter().map(|(key, row)| (key.clone(), row.clone())))
    }

    /// A lead.
    #[must_use]
    pub fn lead(&self, key: &LeadKey) -> Option<&Lead> {
        self.leads.get(key)?.as_deref()
    }
}
