//! Exposures as they are shown to people, read again: for an audit of the log, however values are
//! framed.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::experiment::{Exposure, Unit};
use crate::domain::units::{EventId, EventTime, LeadKey, Tenant};

#[derive(Deserialize)]
struct ShownExposure {
    exposure_id: String,
    event_id: String,
    tenant_id: String,
    lead_id: String,
    at: i64,
    experiment: String,
    version: u32,
    unit: String,
    unit_id: String,
    arm: String,
    bucket: u32,
    propensity: f64,
    config_sha256: String,
    reason: String,
    chain: Option<String>,
}

/// The bytes of lower case hexadecimal digits and hyphens where they are in their one usual form.
fn id(field: &str, text: &str) -> Result<EventId, String> {
    let id: uuid::Uuid = text.parse().map_err(|_| format!("{field} is no UUID"))?;
    if id.to_string() == text {
        Ok(EventId(*id.as_bytes()))
    } else {
        Err(format!("{field} is not written as it was"))
    }
}

fn seal(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    let mut seal = [0; 16];
    for (byte, pair) in seal.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = *pair else { return None };
        *byte = u8::try_from(value(high)? * 16 + value(low)?).ok()?;
    }
    (digits.len() == 32).then_some(seal)
}

/// An exposure of `experiment.exposures.v1`; `None` for one of a release that had no chain.
///
/// # Errors
/// Which field is not what it has to be.
pub fn exposure(key: &Value, value: &Value) -> Result<Option<Exposure>, String> {
    let shown = ShownExposure::deserialize(value).map_err(|error| error.to_string())?;
    let Some(chain) = &shown.chain else { return Ok(None) };
    let unit = Unit::ALL
        .into_iter()
        .find(|unit| unit.as_str() == shown.unit)
        .ok_or("unit is none of lead, agent and team")?;
    let lead = Tenant::new(&shown.tenant_id)
        .and_then(|tenant| LeadKey::new(tenant, &shown.lead_id))
        .map_err(|error| error.to_string())?;
    if key.as_str() != Some(lead.as_str()) {
        return Err("its key is not its tenant and lead".to_owned());
    }
    Ok(Some(Exposure {
        exposure_id: id("exposure_id", &shown.exposure_id)?,
        event_id: id("event_id", &shown.event_id)?,
        key: lead,
        at: EventTime(shown.at),
        experiment: shown.experiment,
        version: shown.version,
        unit,
        unit_id: shown.unit_id,
        arm: shown.arm,
        bucket: shown.bucket,
        propensity: shown.propensity,
        config_sha256: shown.config_sha256,
        reason: shown.reason,
        chain: seal(chain).ok_or("chain is no seal")?,
    }))
}
