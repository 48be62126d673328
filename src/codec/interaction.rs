//! The input event: as a JSON line, as Avro, and as what every stage sees. Both ways in share the
//! same checks.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;
use serde_path_to_error::Segment;

use crate::codec::avro::{self, Writers};
use crate::domain::event::{
    Channel, Content, Direction, EventType, Interaction, Listing, Opportunity,
};
use crate::domain::units::{EventId, EventTime, LeadKey, Tenant};

/// Bytes of one event; a longer line is refused whole.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a name such as `agent_id`.
const NAME_BYTES_MAX: usize = 1_024;
/// Entries of a map such as `attributes`.
const MAP_ENTRIES_MAX: usize = 256;
/// First and last year of an event time.
const YEARS_MS: std::ops::RangeInclusive<i64> = 0..=7_289_654_399_999;

/// Fields by name, which an error may show; the keys of maps and of unknown fields belong to the
/// lead.
const NAMES: &[&str] = &[
    "event_id",
    "event_type",
    "tenant_id",
    "lead_id",
    "occurred_at",
    "received_at",
    "source_system",
    "source_event_type",
    "source_delivery_id",
    "channel",
    "direction",
    "agent_id",
    "conversation_id",
    "session_id",
    "campaign",
    "pipeline",
    "opportunity_id",
    "pipeline_id",
    "stage_id",
    "status",
    "value_minor",
    "currency",
    "listing",
    "listing_id",
    "price_minor",
    "property_type",
    "postal_code",
    "content",
    "text",
    "ciphertext",
    "key_id",
    "language",
    "attachments",
    "consent",
    "measures",
    "attributes",
];

/// Why a line is no event: a stable code, and a sentence that names the field and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Error {
    /// `too_large`, `bad_json`, `invalid_field`, or a code of [`avro::Error`].
    pub code: &'static str,
    /// Which field, what is wrong, what is expected.
    pub sentence: String,
}

fn invalid(field: &str, expected: &str) -> Error {
    Error { code: "invalid_field", sentence: format!("{field} {expected}") }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "LeadInteraction")]
struct Wire {
    event_id: String,
    event_type: String,
    tenant_id: String,
    lead_id: String,
    occurred_at: Time,
    received_at: Time,
    source_system: String,
    source_event_type: Option<String>,
    source_delivery_id: Option<String>,
    channel: Option<String>,
    direction: Option<String>,
    agent_id: Option<String>,
    conversation_id: Option<String>,
    session_id: Option<String>,
    campaign: Option<String>,
    #[serde(default, deserialize_with = "part")]
    pipeline: Option<WirePipeline>,
    #[serde(default, deserialize_with = "part")]
    listing: Option<WireListing>,
    #[serde(default, deserialize_with = "part")]
    content: Option<WireContent>,
    consent: Option<BTreeMap<String, bool>>,
    measures: Option<BTreeMap<String, f64>>,
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Time {
    Millis(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected an RFC 3339 time, or milliseconds since 1970")]
        enum EmittedVersion {
            Millis(i64),
            Text(String),
        }

        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self::Millis);
        }
        Ok(match EmittedVersion::deserialize(deserializer)? {
            EmittedVersion::Millis(millis) => Self::Millis(millis),
            EmittedVersion::Text(text) => Self::Text(text),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Pipeline")]
struct WirePipeline {
    opportunity_id: Option<String>,
    pipeline_id: Option<String>,
    stage_id: Option<String>,
    status: Option<String>,
    value_minor: Option<i64>,
    currency: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Listing")]
struct WireListing {
    listing_id: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    property_type: Option<String>,
    postal_code: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Content")]
struct WireContent {
    text: Option<String>,
    ciphertext: Option<ByteBuf>,
    key_id: Option<String>,
    language: Option<String>,
    attachments: Option<i32>,
}

/// Reads a JSON line.
///
/// # Errors
/// [`Error`] naming the field.
pub fn from_json(line: &[u8]) -> Result<Interaction, Error> {
    bounded(line)?;
    let text = std::str::from_utf8(line).map_err(|error| {
        malformed(format!("line is not UTF-8 from byte {}", error.valid_up_to() + 1))
    })?;
    if !text.trim_start().starts_with('{') {
        return Err(malformed("line is no JSON object".to_owned()));
    }
    check(serde_json::from_str(text).map_err(|_| explain(text))?)
}

/// Reads a value of `lead.interactions.v1`.
///
/// # Errors
/// [`Error`] naming the field, or what is wrong with the framing.
pub fn from_avro(value: &[u8]) -> Result<Interaction, Error> {
    from_avro_with(&Writers::new(), value)
}

/// Reads a value of `lead.interactions.v1` from any writer whose schema is known.
///
/// # Errors
/// [`Error`] naming the field, or what is wrong with the framing or the writer's schema.
pub fn from_avro_with(writers: &Writers, value: &[u8]) -> Result<Interaction, Error> {
    bounded(value)?;
    let wire = avro::decode_with(writers, &avro::INTERACTIONS, value).map_err(|error| {
        let (code, sentence) = match error {
            avro::Error::Magic => (
                "bad_magic",
                "value starts neither with C3 01 and a schema fingerprint nor with \
                    00 or 01 and a schema id"
                    .to_owned(),
            ),
            avro::Error::Schema => (
                "unknown_schema",
                "no schema with this fingerprint or id is \
                known here: register it first"
                    .to_owned(),
            ),
            avro::Error::Refused(cause) => ("bad_schema", cause),
            avro::Error::Datum(cause) => ("bad_datum", cause),
        };
        Error { code, sentence }
    })?;
    check(wire)
}

/// Writes a value of `lead.interactions.v1`.
#[must_use]
pub fn to_avro(event: &Interaction) -> Vec<u8> {
    into_avro(event.clone())
}

/// Writes a value of `lead.interactions.v1` of an event that is not needed any more.
#[must_use]
pub fn into_avro(event: Interaction) -> Vec<u8> {
    avro::INTERACTIONS.encode(&Wire::from(event))
}

fn bounded(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= EVENT_BYTES_MAX {
        return Ok(());
    }
    Err(Error {
        code: "too_large",
        sentence: format!("event has {} bytes, at most {EVENT_BYTES_MAX} are taken", bytes.len()),
    })
}

fn check(wire: Wire) -> Result<Interaction, Error> {
    check_names(&wire)?;
    let tenant =
        Tenant::new(&wire.tenant_id).map_err(|error| invalid("tenant_id:", &error.to_string()))?;
    let key = LeadKey::new(tenant, &wire.lead_id)
        .map_err(|error| invalid("lead_id:", &error.to_string()))?;
    let measures = wire.measures.unwrap_or_default();
    if measures.values().any(|value| !value.is_finite()) {
        return Err(invalid("measures", "must be finite numbers"));
    }
    Ok(Interaction {
        event_id: EventId(
            *uuid::Uuid::try_parse(&wire.event_id)
                .map_err(|_| invalid("event_id", "must be a UUID"))?
                .as_bytes(),
        ),
        kind: EventType::parse(&wire.event_type),
        key,
        occurred_at: time("occurred_at", &wire.occurred_at)?,
        received_at: time("received_at", &wire.received_at)?,
        source_system: wire.source_system,
        source_event_type: wire.source_event_type,
        source_delivery_id: wire.source_delivery_id,
        channel: wire.channel.as_deref().map(Channel::parse),
        direction: wire.direction.as_deref().map(direction).transpose()?,
        agent_id: wire.agent_id,
        conversation_id: wire.conversation_id,
        session_id: wire.session_id,
        campaign: wire.campaign,
        opportunity: wire.pipeline.map(WirePipeline::into_domain),
        listing: wire.listing.map(WireListing::into_domain),
        content: wire.content.map(WireContent::into_domain),
        consent: wire.consent.unwrap_or_default(),
        measures,
        attributes: wire.attributes.unwrap_or_default(),
    })
}

fn malformed(sentence: String) -> Error {
    Error { code: "bad_json", sentence }
}

/// Reads a line that failed once more, to learn which field it was. What the line says is not
/// repeated: it may be a lead's words.
fn explain(line: &str) -> Error {
    let Err(error) =
        serde_path_to_error::deserialize::<_, Wire>(&mut serde_json::Deserializer::from_str(line))
    else {
        return malformed("characters after the end of the object".to_owned());
    };
    let mut place = String::new();
    for segment in error.path() {
        let Segment::Map { key } = segment else { break };
        if !NAMES.contains(&key.as_str()) {
            break;
        }
        place.extend([if place.is_empty() { "" } else { "." }, key]);
    }
    let cause = error.inner();
    let text = cause.to_string();
    let sentence = match text.rsplit_once(", expected ") {
        Some((_, expected)) if cause.is_data() => format!("expected {expected}"),
        _ => text,
    };
    malformed(if place.is_empty() { sentence } else { format!("{place}: {sentence}") })
}

/// A part of the event. Without this, a JSON array of the values in the order of the fields would
/// be taken for it.
fn part<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Part<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Part<T> {
        type Value = Option<T>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    deserializer.deserialize_option(Part(PhantomData))
}

fn check_names(wire: &Wire) -> Result<(), Error> {
    if wire.event_type.is_empty() || wire.event_type.len() > 128 {
        return Err(invalid("event_type", "must have 1 to 128 bytes"));
    }
    if wire.source_system.is_empty() {
        return Err(invalid("source_system", "must not be empty"));
    }
    let names = [
        ("source_system", Some(&wire.source_system)),
        ("agent_id", wire.agent_id.as_ref()),
        ("channel", wire.channel.as_ref()),
        ("conversation_id", wire.conversation_id.as_ref()),
        ("session_id", wire.session_id.as_ref()),
        ("campaign", wire.campaign.as_ref()),
        ("source_event_type", wire.source_event_type.as_ref()),
        ("source_delivery_id", wire.source_delivery_id.as_ref()),
    ];
    if let Some((field, _)) =
        names.into_iter().find(|(_, name)| name.is_some_and(|name| name.len() > NAME_BYTES_MAX))
    {
        return Err(invalid(field, "must have at most 1024 bytes"));
    }
    let sizes = [
        ("consent", wire.consent.as_ref().map_or(0, BTreeMap::len)),
        ("measures", wire.measures.as_ref().map_or(0, BTreeMap::len)),
        ("attributes", wire.attributes.as_ref().map_or(0, BTreeMap::len)),
    ];
    match sizes.into_iter().find(|(_, size)| *size > MAP_ENTRIES_MAX) {
        Some((field, _)) => Err(invalid(field, "must have at most 256 entries")),
        None => Ok(()),
    }
}

impl From<Interaction> for Wire {
    fn from(event: Interaction) -> Self {
        Self {
            event_id: event.event_id.to_string(),
            event_type: event.kind.as_str().to_owned(),
            tenant_id: event.key.tenant().as_str().to_owned(),
            lead_id: event.key.lead_id().to_owned(),
            occurred_at: Time::Millis(event.occurred_at.0),
            received_at: Time::Millis(event.received_at.0),
            source_system: event.source_system,
            source_event_type: event.source_event_type,
            source_delivery_id: event.source_delivery_id,
            channel: event.channel.map(|channel| channel.as_str().to_owned()),
            direction: event.direction.map(|direction| {
                if direction == Direction::Inbound { "inbound" } else { "outbound" }.to_owned()
            }),
            agent_id: event.agent_id,
            conversation_id: event.conversation_id,
            session_id: event.session_id,
            campaign: event.campaign,
            pipeline: event.opportunity.map(WirePipeline::from_domain),
            listing: event.listing.map(WireListing::from_domain),
            content: event.content.map(WireContent::from_domain),
            consent: Some(event.consent).filter(|map| !map.is_empty()),
            measures: Some(event.measures).filter(|map| !map.is_empty()),
            attributes: Some(event.attributes).filter(|map| !map.is_empty()),
        }
    }
}

fn direction(word: &str) -> Result<Direction, Error> {
    match word {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err(invalid("direction", "must be inbound or outbound")),
    }
}

fn time(field: &str, time: &Time) -> Result<EventTime, Error> {
    let millis = match time {
        Time::Millis(millis) => *millis,
        Time::Text(text) => return instant(field, text),
    };
    in_range(field, millis)
}

/// An RFC 3339 time.
///
/// # Errors
/// [`Error`] naming the field.
pub fn instant(field: &str, text: &str) -> Result<EventTime, Error> {
    let instant = text.parse::<jiff::Timestamp>();
    let expected =
        "must be an RFC 3339 time such as 2026-01-31T12:00:00.000Z, or milliseconds since 1970";
    in_range(field, instant.map_err(|_| invalid(field, expected))?.as_millisecond())
}

fn in_range(field: &str, millis: i64) -> Result<EventTime, Error> {
    if YEARS_MS.contains(&millis) {
        Ok(EventTime(millis))
    } else {
        Err(invalid(field, "must lie in the years 1970 to 2200"))
    }
}

impl WirePipeline {
    fn from_domain(part: Opportunity) -> Self {
        let Opportunity { opportunity_id, pipeline_id, stage_id, status, value_minor, currency } =
            part;
        Self { opportunity_id, pipeline_id, stage_id, status, value_minor, currency }
    }

    fn into_domain(self) -> Opportunity {
        let Self { opportunity_id, pipeline_id, stage_id, status, value_minor, currency } = self;
        Opportunity { opportunity_id, pipeline_id, stage_id, status, value_minor, currency }
    }
}

impl WireListing {
    fn from_domain(part: Listing) -> Self {
        let Listing { listing_id, price_minor, currency, property_type, postal_code } = part;
        Self { listing_id, price_minor, currency, property_type, postal_code }
    }

    fn into_domain(self) -> Listing {
        let Self { listing_id, price_minor, currency, property_type, postal_code } = self;
        Listing { listing_id, price_minor, currency, property_type, postal_code }
    }
}

impl WireContent {
    fn from_domain(part: Content) -> Self {
        let Content { text, ciphertext, key_id, language, attachments } = part;
        Self { text, ciphertext: ciphertext.map(ByteBuf::from), key_id, language, attachments }
    }

    fn into_domain(self) -> Content {
        let Self { text, ciphertext, key_id, language, attachments } = self;
        Content {
            text,
            ciphertext: ciphertext.map(ByteBuf::into_vec),
            key_id,
            language,
            attachments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"event_id":"57bb7c06-fde5-5816-9d6a-7a124d6f1afa","event_type":"message.received","tenant_id":"acme","lead_id":"l-1","occurred_at":"2026-01-01T00:03:00.000Z","received_at":1767225780000,"source_system":"crm","channel":"sms","direction":"inbound","content":{"text":"hi"},"measures":{"x":1.5},"new_field":[1]}"#;

    #[test]
    fn a_line_becomes_an_event() {
        let event = from_json(LINE.as_bytes()).unwrap();
        assert_eq!(event.occurred_at, event.received_at);
        assert_eq!(
            (event.key.as_str(), event.kind, event.channel),
            ("acme:l-1", EventType::MessageReceived, Some(Channel::Sms))
        );
    }

    #[test]
    fn an_event_survives_avro_and_hostile_bytes_give_an_error() {
        let full = LINE.replacen(
            "\"new_field\":[1]",
            r#""consent":{"sms":true},"attributes":{"a":"b"},"listing":{"price_minor":5},"pipeline":{"stage_id":"New","value_minor":-1}"#,
            1,
        );
        for line in [LINE, full.as_str()] {
            let mut event = from_json(line.as_bytes()).unwrap();
            event.content.as_mut().unwrap().ciphertext = Some(vec![0, 255]);
            let bytes = to_avro(&event);
            assert_eq!(from_avro(&bytes).unwrap(), event);
            assert!(avro::describe(&bytes).unwrap()["event_type"] == "message.received");
            for end in 0..bytes.len() {
                assert!(from_avro(&bytes[..end]).is_err(), "cut at {end}");
            }
            for place in 10..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[place] ^= 0xff;
                let _must_not_panic = from_avro(&flipped);
            }
        }
        assert_eq!(from_avro(b"{}").unwrap_err().code, "bad_magic");
        assert_eq!(
            from_avro(&[0xC3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap_err().code,
            "unknown_schema"
        );
    }

    #[test]
    fn a_bad_line_names_its_field() {
        let cases = [
            ("57bb7c06-fde5-5816-9d6a-7a124d6f1afa", "nope", "event_id"),
            ("\"acme\"", "\"ac me\"", "tenant_id"),
            ("\"l-1\"", "\"\"", "lead_id"),
            ("2026-01-01T00:03:00.000Z", "yesterday", "occurred_at"),
            ("1767225780000", "99999999999999", "received_at"),
            ("inbound", "sideways", "direction"),
            ("\"source_system\":\"crm\",", "", "source_system"),
            ("1767225780000", "[1]", "received_at: expected an RFC 3339 time"),
            ("1.5", "1e999", "measures: number out of range"),
            ("{\"text\":\"hi\"}", "[\"hi\",null,null,null,null]", "content: expected an object"),
            ("{\"text\":\"hi\"}", "{\"text\":[1]}", "content.text: expected a string"),
            ("\"content\":{\"text\":\"hi\"}", "\"listing\":[]", "listing: expected an object"),
            ("\"content\":{\"text\":\"hi\"}", "\"pipeline\":[]", "pipeline: expected an object"),
            ("{\"event_id\"", "{\"event_id\":1,\"event_id\"", "event_id"),
            ("{\"event_id\"", "{\"lead_id\":\"x\",\"event_id\"", "duplicate field `lead_id`"),
        ];
        for (from, to, names) in cases {
            let line = LINE.replacen(from, to, 1);
            let error = from_json(line.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(names), "{line}: {error}");
        }
        assert_eq!(from_json(b"[1]").unwrap_err().sentence, "line is no JSON object");
        assert_eq!(
            from_json(&[b"{\"x\":\"", &[0xff_u8][..], b"\"}"].concat()).unwrap_err().sentence,
            "line is not UTF-8 from byte 7"
        );
        assert_eq!(from_json(b"\xff\xfe").unwrap_err().code, "bad_json");
        assert_eq!(from_json(&vec![b' '; EVENT_BYTES_MAX + 1]).unwrap_err().code, "too_large");
        assert!(from_json("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn an_array_of_the_values_is_no_event() {
        let values = Wire::from(from_json(LINE.as_bytes()).unwrap());
        let serde_json::Value::Object(fields) = serde_json::to_value(&values).unwrap() else {
            panic!("a record is an object")
        };
        assert_eq!(
            from_json(
                serde_json::Value::Array(fields.into_values().collect()).to_string().as_bytes()
            )
            .unwrap_err()
            .code,
            "bad_json"
        );
    }

    #[test]
    fn an_error_repeats_nothing_that_the_line_says_and_stays_short() {
        let secret = "call me on 555".repeat(2_000);
        let places = [
            ("{\"text\":\"hi\"}", format!("\"{secret}\"")),
            ("{\"text\":\"hi\"}", format!("{{\"attachments\":\"{secret}, expected nothing\"}}")),
            ("{\"x\":1.5}", format!("{{\"{secret}\":\"{secret}\"}}")),
            ("\"acme\"", format!("\"{secret}\"")),
            ("\"l-1\"", format!("\"{secret}\"")),
            ("57bb7c06-fde5-5816-9d6a-7a124d6f1afa", secret.clone()),
            ("2026-01-01T00:03:00.000Z", secret.clone()),
            ("\"inbound\"", format!("\"{secret}\"")),
            ("\"sms\"", format!("\"{secret}\"")),
            ("[1]", format!("{{\"{secret}\":tru}}")),
        ];
        for (from, to) in places {
            let line = LINE.replacen(from, &to, 1);
            let error = from_json(line.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("555") && error.len() < 200, "{error}");
        }
    }
}
