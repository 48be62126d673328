//! All rows of a partition in memory: the driver of tests, of `replay` and of `backtest`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::domain::lead::Lead;
use crate::domain::rules::Rules;
use crate::domain::units::{EventTime, LeadKey, Tenant};
use crate::pipeline::{Effect, Input, Key, Outcome, Row, StateStore, Taken, Timers, take};

/// All rows of a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    leads: BTreeMap<LeadKey, Box<Lead>>,
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

    fn update<T, E>(
        &mut self,
        key: &LeadKey,
        change: impl FnOnce(&mut Lead) -> Result<T, E>,
    ) -> Result<Result<T, E>, Infallible> {
        let Some(lead) = self.leads.get_mut(key) else {
            // A late event of an unknown lead leaves no row.
            let mut lead = Box::<Lead>::default();
            let changed = change(&mut lead);
            if changed.is_ok() {
                self.due.reschedule(key, None, lead.risk.due);
                self.leads.insert(key.clone(), lead);
            }
            return Ok(changed);
        };
        let before = lead.risk.due;
        let changed = change(lead);
        self.due.reschedule(key, before, lead.risk.due);
        Ok(changed)
    }

    fn save(&mut self, key: Key, row: Option<Row>) {
        match (key, row) {
            (Key::Lead(key), Some(Row::Lead(lead))) => {
                self.leads.insert(key, lead);
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
        let leads =
            self.leads.iter().map(|(key, lead)| (Key::Lead(key.clone()), Row::Lead(lead.clone())));
        leads.chain(self.others.iter().map(|(key, row)| (key.clone(), row.clone())))
    }

    /// A lead.
    #[must_use]
    pub fn lead(&self, key: &LeadKey) -> Option<&Lead> {
        self.leads.get(key).map(Box::as_ref)
    }
}
