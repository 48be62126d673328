//! Own schemas on a registry: each topic's values are the subject `<topic>-value`
//! (TopicNameStrategy).

use crate::codec::avro::{self, Frames, TopicSchema};
use crate::log::registry::api::{Api, COMPATIBILITY, Error, Registered, Settings};
use crate::log::registry::runtime;

/// What became of one schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was added.
    New,
    /// It was there.
    Known,
    /// The registry does not take it, and says why.
    Refused(String),
}

/// A schema and its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The subject.
    pub subject: String,
    /// Id and version; `None` where it was refused.
    pub registered: Option<Registered>,
    /// What became of it.
    pub outcome: Outcome,
}

fn subject(coded: &TopicSchema) -> String {
    format!("{}-value", coded.topic)
}

/// Registers every schema that others read or write, each behind the compatibility that its subject
/// keeps from then on.
///
/// # Errors
/// When the registry cannot be used.
pub async fn register(settings: &Settings) -> Result<Vec<Registration>, Error> {
    let api = Api::new(settings)?;
    let mut registrations = Vec::new();
    for coded in avro::published() {
        registrations.push(register_one(&api, coded).await?);
    }
    Ok(registrations)
}

async fn register_one(api: &Api, coded: &TopicSchema) -> Result<Registration, Error> {
    let subject = subject(coded);
    api.require_compatibility(&subject).await?;
    if let Some(registered) = api.find(&subject, coded.text).await? {
        return Ok(Registration { subject, registered: Some(registered), outcome: Outcome::Known });
    }
    match api.register(&subject, coded.text).await {
        Ok(()) => {
            let registered = api.find(&subject, coded.text).await?;
            Ok(Registration { subject, registered, outcome: Outcome::New })
        }
        Err(Error::Answer { status, message, .. }) if matches!(status.as_u16(), 409 | 422) => {
            Ok(Registration { subject, registered: None, outcome: Outcome::Refused(message) })
        }
        Err(error) => Err(error),
    }
}

/// How a subject stands on a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// It has the schema and the compatibility.
    Fine,
    /// It has the schema, and takes versions that not all readers read.
    Loose,
    /// It does not have the schema and would take it.
    Missing,
    /// It does not have the schema and would not take it.
    Refused,
}

/// Looks how the subject of each published schema stands; changes nothing. Blocks; not to be called
/// within a tokio runtime.
///
/// # Errors
/// When the registry cannot be used.
pub fn survey(settings: &Settings) -> Result<Vec<(String, Subject)>, Error> {
    let runtime = runtime()?;
    let found = runtime.block_on(async {
        let (api, mut standings) = (Api::new(settings)?, Vec::new());
        for coded in avro::published() {
            let subject = subject(coded);
            let standing = match api.find(&subject, coded.text).await? {
                Some(_) if api.compatibility(&subject).await?.as_deref() == Some(COMPATIBILITY) => {
                    Subject::Fine
                }
                Some(_) => Subject::Loose,
                None if api.would_take(&subject, coded.text).await? => Subject::Missing,
                None => Subject::Refused,
            };
            standings.push((subject, standing));
        }
        Ok(standings)
    });
    runtime.shutdown_background();
    found
}

/// How own values are framed on a registry that has their schemas. Blocks; not to be called within
/// a tokio runtime.
///
/// # Errors
/// [`Error::Missing`], or when the registry cannot be used.
pub fn frames(settings: &Settings) -> Result<Frames, Error> {
    let runtime = runtime()?;
    let found = runtime.block_on(async {
        let api = Api::new(settings)?;
        let (mut ids, mut missing) = (Vec::new(), Vec::new());
        for coded in avro::published() {
            match api.find(&subject(coded), coded.text).await? {
                Some(registered) => ids.push((coded.topic, registered.id)),
                None => missing.push(coded.topic),
            }
        }
        if missing.is_empty() {
            Ok(Frames::new(ids.into_iter().collect()))
        } else {
            Err(Error::Missing(missing))
        }
    });
    runtime.shutdown_background();
    found
}
