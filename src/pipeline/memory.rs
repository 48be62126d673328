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
    /// By key; `None` while a lead is being changed.
    rows: BTreeMap<Key, Option<Row>>,
    due: Due,
}

impl Rows for Memory {
    type Error = Infallible;

    fn load(&mut self, key: &Key) -> Result<Option<Row>, Infallible> {
        Ok(self.rows.get(key).cloned().flatten())
    }

    fn save(&mut self, key: Key, row: Option<Row>) {
        match row {
            Some(row) => self.rows.insert(key, Some(row)),
            None => self.rows.remove(&key),
        };
    }

    fn lead(&mut self, key: &LeadKey) -> Result<Option<Box<Lead>>, Infallible> {
        Ok(self.rows.get_mut(&Key::Lead(key.clone())).and_then(Option::take).and_then(Row::into_lead))
    }

    fn keep(&mut self, key: &LeadKey, lead: Box<Lead>) {
        // A late event of a lead that nobody knows leaves no row.
        if let Some(place) = self.rows.get_mut(&Key::Lead(key.clone())) {
            *place = Some(Row::Lead(lead));
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
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.rows.iter().filter_map(|(key, row)| row.as_ref().map(|row| (key, row)))
    }

    /// A lead.
    #[must_use]
    pub fn lead(&self, key: &LeadKey) -> Option<&Lead> {
        match self.rows.get(&Key::Lead(key.clone())) {
            Some(Some(Row::Lead(lead))) => Some(lead),
            _ => None,
        }
    }
}
