//! Recomputes every assignment from the exposures that were logged, and finds what was changed,
//! lost or given to the wrong arm.

use std::collections::BTreeMap;

use crate::domain::experiment::{Assignment, Exposure, Unit};
use crate::domain::rules::Rules;

/// Findings that are kept in words; all are counted.
const TOLD_MAX: usize = 100;

/// What an audit found so far.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Exposures looked at.
    pub exposures: u64,
    /// Units seen.
    pub units: u64,
    /// Units that were exposed to more than one arm.
    pub multi_exposed: u64,
    /// Everything that is not as the definitions and the chain say.
    pub wrong: u64,
    /// The first of those in words.
    pub reported: Vec<String>,
    chains: BTreeMap<(String, String, u32), Link>,
    arms: BTreeMap<(String, String, u32, String), String>,
}

/// The newest exposure of a lead in an experiment.
#[derive(Clone, Debug)]
struct Link {
    chain: [u8; 16],
    assignment: Assignment,
    version: u32,
}

impl Audit {
    /// Notes something that is not as it has to be; `position` says where it is.
    pub fn find(&mut self, position: &str, what: impl Into<String>) {
        self.wrong += 1;
        if self.reported.len() < TOLD_MAX {
            self.reported.push(format!("{position}: {}", what.into()));
        }
    }

    /// Looks at the next exposure of its partition, in the order of the log.
    pub fn take(&mut self, rules: &Rules, position: &str, exposure: &Exposure) {
        self.exposures += 1;
        let tenant = exposure.key.tenant();
        let Some(version) = rules.experiment(tenant, &exposure.experiment, exposure.version) else {
            let Exposure { experiment, version, .. } = exposure;
            return self.find(
                position,
                format!("version {version} of experiment {experiment} is not defined"),
            );
        };
        if version.config_sha256 != exposure.config_sha256 {
            self.find(position, "config_sha256 is not that of the definition");
        }
        let given = Assignment {
            arm: exposure.arm.clone(),
            bucket: exposure.bucket,
            propensity: exposure.propensity,
        };
        let name =
            (exposure.key.as_str().to_owned(), exposure.experiment.clone(), version.base_version);
        let before = self.chains.get(&name).cloned();
        let is_first = exposure.reason == "assigned";
        // A lead that was erased and came back is assigned once more.
        let follows = is_first || exposure.reason == "sticky" && before.is_some();
        if !follows {
            self.find(
                position,
                format!("reason {:?} does not follow from what came before", exposure.reason),
            );
        }
        let seal = exposure.sealed(if is_first {
            [0; 16]
        } else {
            before.as_ref().map_or([0; 16], |link| link.chain)
        });
        if seal != exposure.chain {
            self.find(
                position,
                "the chain is broken: this exposure was changed, or one before it was \
                changed or removed",
            );
        }
        // A lead that was handed to another agent keeps what it had.
        let expected = match &before {
            Some(link) if !is_first => {
                Some(link.assignment.clone()).filter(|_| link.version == exposure.version)
            }
            _ => version.arm_of(&exposure.unit_id),
        };
        if version.unit != exposure.unit || expected.as_ref() != Some(&given) {
            self.find(
                position,
                format!(
                    "arm {}, bucket {} and propensity are not what {} gets",
                    given.arm, given.bucket, exposure.unit_id
                ),
            );
        }
        self.chains.insert(
            name,
            Link { chain: exposure.chain, assignment: given, version: exposure.version },
        );
        if exposure.unit == Unit::Lead || is_first {
            self.see(exposure, version.base_version, position);
        }
    }

    fn see(&mut self, exposure: &Exposure, base_version: u32, position: &str) {
        let unit = (
            exposure.key.tenant().to_string(),
            exposure.experiment.clone(),
            base_version,
            exposure.unit_id.clone(),
        );
        match self.arms.get(&unit) {
            None => {
                self.units += 1;
                self.arms.insert(unit, exposure.arm.clone());
            }
            Some(arm) if *arm != exposure.arm => {
                self.multi_exposed += 1;
                self.find(position, format!("unit {} was in arm {arm} before", exposure.unit_id));
            }
            Some(_) => {}
        }
    }
}
