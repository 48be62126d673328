//! The records of a topic for people, and those that come.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::query::Shown;
use crate::codec::topics::Topic;
use crate::domain::units::{Offset, Partition};
use crate::log::registry::Schemas;
use crate::log::{Backend, Error};

/// How long a follower sleeps when nothing is written.
const FOLLOW: Duration = Duration::from_millis(500);

/// Which records of a topic are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Only those of this key, `tenant:lead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The maximum number of records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// From the oldest on, else only those that come from now on.
    pub from_start: bool,
    /// Not those that come after the end as it is now.
    pub until_end: bool,
}

/// Hands the records of a topic that are meant, partition by partition, until there are enough or
/// `each` answers `false`; `None`: there is nothing new for now.
///
/// # Errors
/// When the log cannot be read.
pub fn tail(
    log: &Backend,
    topic: &Topic,
    tail: &Tail,
    schemas: &Schemas,
    each: &mut dyn FnMut(Option<Value>) -> bool,
) -> Result<(), Error> {
    let mut committed = log.committed()?;
    let from = |partition| {
        if tail.from_start { Ok(Offset(0)) } else { committed.end(topic.name, partition) }
    };
    let count = topic.partition_count(log.partitions());
    let mut next = (0..count).map(Partition).map(from).collect::<Result<Vec<_>, _>>()?;
    let mut left = tail.limit.unwrap_or(u64::MAX);
    let mut shown = Shown::new(schemas);
    while left > 0 && each(None) {
        let since = log.writes();
        committed.renew(log)?;
        for (partition, next) in (0..).map(Partition).zip(&mut next) {
            let end = committed.end(topic.name, partition)?;
            let range = (*next, end);
            let mut is_enough = false;
            let read = committed.each((topic.name, partition), range, &mut |offset, record| {
                let is_meant = tail.key.as_deref().is_none_or(|key| record.has_key(key));
                if is_meant {
                    left -= 1;
                    is_enough =
                        !each(Some(shown.record((partition, offset), &record))) || left == 0;
                }
                if is_enough { Err(Ended::Enough) } else { Ok(()) }
            });
            match read {
                Ok(()) => *next = end,
                Err(Ended::Enough) => return Ok(()),
                Err(Ended::Failed(error)) => return Err(error),
            }
        }
        if tail.until_end {
            return Ok(());
        }
        log.await_write(since, FOLLOW);
    }
    Ok(())
}

/// Why reading ended before the end.
enum Ended {
    Enough,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
