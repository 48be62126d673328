//! All rows of a partition in memory: the driver of tests, of `replay` and of `evaluate`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::domain::lead::Lead;
use crate::domain::rules::Rules;
use crate::domain::units::{EventTime, LeadKey, Tenant};
use crate::pipeline::{Due, Effect, Input, Key, Outcome, Row, Rows, Taken, take};

/// All rows of a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// By key.
    pub rows: BTreeMap<Key, Row>,
    due: Due,
}

impl Rows for Memory {
    type Error = Infallible;

    fn load(&mut self, key: &Key) -> Result<Option<Row>, Infallible> {
        Ok(self.rows.get(key).cloned())
    }

    fn save(&mut self, key: Key, row: Option<Row>) {
        match row {
            Some(row) => self.rows.insert(key, row),
            None => self.rows.remove(&key),
        };
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

    /// A lead.
    #[must_use]
    pub fn lead(&self, key: &LeadKey) -> Option<&Lead> {
        match self.rows.get(&Key::Lead(key.clone())) {
            Some(Row::Lead(lead)) => Some(lead),
            _ => None,
        }
    }
}
