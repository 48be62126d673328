//! Definitions: applied once each, and all that there are.

use serde::{Deserialize, Serialize};

use crate::app::sources::OpenSources;
use crate::codec::model::starting_rules;
use crate::codec::record::{Batches, Record};
use crate::codec::records::Defined;
use crate::codec::topics::inputs_of;
use crate::codec::{definition, internal};
use crate::domain::rules::Refusal;
use crate::domain::units::Partition;
use crate::log::{self, Backend};
use crate::pipeline::InputTopic;

/// Name under which definitions are appended.
const SOURCE: &str = "leadstream/definitions/";

/// Bytes of a definition's JSON: its body may have half of them.
pub const DEFINITION_BYTES_MAX: usize = 2 << 20;

/// Why a definition is not applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Invalid(#[from] definition::Error),
    /// It may not stand beside what is there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another one is stored under its key.
    #[error("{0}")]
    Exists(String),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] log::Error),
}

/// A definition that is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// `tenant:kind:name:version`.
    pub key: String,
    /// It was there before.
    pub known: bool,
}

/// Puts the definition of a JSON text in the log, unless it is there.
///
/// # Errors
/// [`Error`].
pub fn apply(log: &Backend, sources: &OpenSources, text: &[u8]) -> Result<Applied, Error> {
    let (definition, body) = definition::from_json(text)?;
    let key = internal::definition_key(&definition);
    let value = internal::definition_bytes(&definition);
    let (topic, partition) = inputs_of(InputTopic::Definitions, Partition(0));
    let applied = sources.alone(SOURCE, |appender| {
        let mut defined = Defined::new(&key, starting_rules());
        log.committed()?.all::<log::Error>((topic, partition), &mut |_, record| {
            defined.take(record);
            Ok(())
        })?;
        if defined.is_known(&value).map_err(Error::Exists)? {
            return Ok(true);
        }
        defined.allows(&definition, body)?;
        let record = Record {
            key: Some(key.clone().into()),
            value: Some(value),
            reason: None,
            appended_ms: appender.now().0,
            ingest_run: 0,
            origin: None,
        };
        let batches = Batches::from([((topic, partition.0), vec![record])]);
        appender.append_from(&batches, (SOURCE, b"{}"))?;
        Ok::<_, Error>(false)
    });
    sources.close(SOURCE);
    Ok(Applied { known: applied?, key })
}
