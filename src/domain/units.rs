//! The units every module speaks: times, offsets, partitions, and the names of tenants and leads.

use std::fmt;
use std::sync::Arc;

/// Milliseconds of one second, minute, hour and day.
pub const SECOND_MS: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// When something happened in the world: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time `millis` later.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Days since 1970-01-01, UTC.
    #[must_use]
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }
}

/// A length of time in words, rounded down: `under a minute`, `5 min`, `47 h`, `3 days`.
#[must_use]
pub fn span(millis: i64) -> String {
    match millis.max(0) {
        short if short < MINUTE_MS => "under a minute".to_owned(),
        minutes if minutes < 2 * HOUR_MS => format!("{} min", minutes / MINUTE_MS),
        hours if hours < 2 * DAY_MS => format!("{} h", hours / HOUR_MS),
        days => format!("{} days", days / DAY_MS),
    }
}

/// When the log took a record: milliseconds since the Unix epoch, UTC. Part of the input, so a
/// replay sees the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendTime(pub i64);

/// Place of a record in one partition of one topic, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

/// Number of a partition, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

/// Identity of one delivered event (a UUID, version 5 by contract): the same delivery always has
/// the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The id of a thing known by a stable text, for example an alert: UUIDv5 in a namespace of
    /// leadstream's own.
    #[must_use]
    pub fn named(text: &str) -> Self {
        Self(*b"leadstream-v1\0\0\0").derive(text)
    }

    /// The id of something derived from this event: UUIDv5 in the namespace of the event (RFC 9562,
    /// section 5.5).
    #[must_use]
    pub fn derive(self, usage: &str) -> Self {
        Self(*uuid::Uuid::new_v5(&uuid::Uuid::from_bytes(self.0), usage.as_bytes()).as_bytes())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(out)
    }
}

/// Why a tenant or lead name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The tenant id breaks its rule.
    #[error("tenant_id must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' or '-'")]
    Tenant,
    /// The lead id breaks its rule.
    #[error("lead_id must be 1 to 200 bytes without control characters")]
    Lead,
}

/// A customer organisation: 1 to 64 characters of `[A-Za-z0-9._-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// Checks the name.
    ///
    /// # Errors
    /// [`NameError::Tenant`] when it is empty, too long or has another character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Tenant)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One lead of one tenant, written `tenant:lead`: the record key of most topics. Cheap to clone;
/// ordered by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadKey {
    text: Arc<str>,
    tenant: Tenant,
}

impl LeadKey {
    /// Joins a tenant and a lead id.
    ///
    /// # Errors
    /// [`NameError::Lead`] when the lead id is empty, over 200 bytes or has a control character.
    pub fn new(tenant: Tenant, lead_id: &str) -> Result<Self, NameError> {
        if !(1..=200).contains(&lead_id.len()) || lead_id.chars().any(char::is_control) {
            return Err(NameError::Lead);
        }
        Ok(Self { text: format!("{tenant}:{lead_id}").into(), tenant })
    }

    /// Parses `tenant:lead`.
    ///
    /// # Errors
    /// [`NameError`] when either part breaks its rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::parse_beside(text, None)
    }

    /// The same beside a lead whose tenant it may share: where many are parsed, equal names need
    /// not be kept apart.
    ///
    /// # Errors
    /// As [`LeadKey::parse`].
    pub fn parse_beside(text: &str, alongside: Option<&Tenant>) -> Result<Self, NameError> {
        let (tenant, lead_id) = text.split_once(':').ok_or(NameError::Tenant)?;
        let tenant = alongside
            .filter(|other| other.as_str() == tenant)
            .cloned()
            .map_or_else(|| Tenant::new(tenant), Ok)?;
        Self::new(tenant, lead_id)
    }

    /// The whole key, `tenant:lead`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The lead id within the tenant.
    #[must_use]
    pub fn lead_id(&self) -> &str {
        &self.text[self.tenant.as_str().len() + 1..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unambiguous() {
        let key = LeadKey::parse("acme:a:b").unwrap();
        assert_eq!((key.tenant().as_str(), key.lead_id()), ("acme", "a:b"));
        assert_eq!(LeadKey::parse("acme"), Err(NameError::Tenant));
        assert_eq!(LeadKey::parse("ac me:x"), Err(NameError::Tenant));
        assert_eq!(LeadKey::parse("acme:"), Err(NameError::Lead));
        assert_eq!(LeadKey::parse("acme:a\u{0}"), Err(NameError::Lead));
        assert!(LeadKey::parse(&format!("acme:{}", "x".repeat(200))).is_ok());
        assert_eq!(LeadKey::parse(&format!("acme:{}", "x".repeat(201))), Err(NameError::Lead));
    }

    #[test]
    fn a_length_of_time_is_told_in_the_unit_that_fits() {
        let reported =
            [0, MINUTE_MS, 119 * MINUTE_MS, 2 * HOUR_MS, 47 * HOUR_MS, 2 * DAY_MS, -5].map(span);
        assert_eq!(
            reported,
            ["under a minute", "1 min", "119 min", "2 h", "47 h", "2 days", "under a minute"]
        );
    }

    #[test]
    fn derived_ids_are_stable_and_differ_by_use() {
        let id = EventId([7; 16]);
        assert_eq!(id.derive("coach"), id.derive("coach"));
        assert_ne!(id.derive("coach"), id.derive("alert"));
        assert_eq!(id.derive("coach").to_string().as_bytes()[14], b'5');
    }
}
