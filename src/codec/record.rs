//! One record of a topic as plain data, and records by topic and partition.

use std::collections::BTreeMap;
use std::fmt;

/// One record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `tenant:lead`, a row's name, or what else the topic is keyed by; of an input whatever its
    /// producer gave. `None` where not known.
    pub key: Option<Vec<u8>>,
    /// `None`: tombstone.
    pub value: Option<Vec<u8>>,
    /// Why it is no event (inputs) or what became of it (dead letters).
    pub reason: Option<String>,
    /// When the log took it, milliseconds.
    pub appended_ms: i64,
    /// The ingest run that brought it; 0: none.
    pub ingest_run: u32,
    /// Where a dead letter or late record was first.
    pub origin: Option<Origin>,
}

/// A place in a topic, written `topic/partition/offset`, with `#attempt` behind it where that is
/// not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// How often the record had been appended again from its dead letter.
    pub attempt: u32,
}

impl Record {
    /// Whether the key is this text.
    #[must_use]
    pub fn has_key(&self, text: &str) -> bool {
        self.key.as_deref() == Some(text.as_bytes())
    }

    /// The reason in one word; empty where there is none.
    #[must_use]
    pub fn reason_word(&self) -> &str {
        reason_word(self.reason.as_deref().unwrap_or_default())
    }
}

/// The word before the sentence of a reason.
#[must_use]
pub fn reason_word(reason: &str) -> &str {
    reason.split_once(": ").map_or(reason, |(word, _)| word)
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.topic, self.partition, self.offset)?;
        if self.attempt > 0 { write!(out, "#{}", self.attempt) } else { Ok(()) }
    }
}

impl Origin {
    /// Reads what `Display` writes; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A topic's name has neither sign.
        let (place, attempt) = text.split_once('#').unwrap_or((text, "0"));
        let mut parts = place.rsplitn(3, '/');
        let (offset, partition) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self {
            topic: parts.next()?.to_owned(),
            partition,
            offset,
            attempt: attempt.parse().ok()?,
        })
    }
}

/// Records by topic and partition.
pub type Batches = BTreeMap<(&'static str, u32), Vec<Record>>;
