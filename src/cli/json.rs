//! JSON that commands print.

use serde_json::Value;

use crate::cli::print::{Error, say};

/// Significant digits of fractions: more is not known of any of them.
const DIGITS: i32 = 6;

/// Prints JSON with its fractions rounded to what is known.
pub fn say_json(mut value: Value) -> Result<(), Error> {
    round(&mut value);
    say(value)
}

fn round(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        Value::Number(number) if number.is_f64() => {
            let exact = number.as_f64().unwrap_or_default();
            if exact != 0.0 && exact.is_finite() {
                let scale = 10_f64.powi(DIGITS - 1 - exact.abs().log10().floor() as i32);
                if scale.is_finite() {
                    *value = Value::from((exact * scale).round() / scale);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fractions_in_json_have_six_digits_and_everything_else_stays() {
        let mut value =
            json!({ "p": 0.499_999_997, "n": [123_456_789, -1.234_567_89e-7], "z": 0.0 });
        round(&mut value);
        let expected = json!({ "p": 0.5, "n": [123_456_789, -1.234_57e-7], "z": 0.0 });
        assert_eq!(value, expected);
    }
}
