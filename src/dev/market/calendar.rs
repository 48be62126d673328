//! When people of the market are awake, at work and free to meet, in their own time.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;

use crate::domain::contact::{QuietHours, waking};
use crate::domain::units::{DAY_MS, EventTime, HOUR_MS, MINUTE_MS};
use crate::stats::random::Random;

/// Hours in which leads neither write nor get messages.
const NIGHT: QuietHours = QuietHours { from: 23, to: 7 };
/// Hours in which no agent works.
const CLOSED: QuietHours = QuietHours { from: 19, to: 8 };
/// Hours of meetings, and how sentences name them.
const SLOTS: [(i8, i8, &str); 8] = [
    (9, 30, "9:30"),
    (10, 0, "10:00"),
    (11, 15, "11:15"),
    (13, 0, "1:00"),
    (14, 30, "2:30"),
    (16, 0, "4:00"),
    (17, 30, "5:30"),
    (18, 0, "6:00"),
];
/// How busy each local hour is with new leads: lunch and evenings most.
const BUSY: [f64; 24] = [
    0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 1.8, 1.9, 2.0, 1.8, 1.5, 1.4, 1.4, 1.5, 1.7,
    1.9, 1.8, 1.4, 0.8, 0.4,
];
/// Sum of [`BUSY`] over its hours, times the days of a week as [`day_weight`] counts them, per
/// hour.
const MEAN_WEIGHT: f64 = 26.1 / 24.0 * 6.6 / 7.0;
/// No hour of any day is busier than this times the mean.
pub const BUSIEST: f64 = 2.0 * 1.1 / MEAN_WEIGHT;

/// Local date and time.
#[must_use]
pub fn local(at_ms: i64, zone: &TimeZone) -> DateTime {
    let instant =
        jiff::Timestamp::from_millisecond(at_ms).expect("jiff knows the years of the market");
    zone.to_datetime(instant)
}

/// `2026-01-31T12:00:00Z`.
#[must_use]
pub fn written(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .expect("jiff knows the years of the market")
        .to_string()
}

fn day_weight(day: Weekday) -> f64 {
    match day {
        Weekday::Monday | Weekday::Tuesday => 1.1,
        Weekday::Wednesday | Weekday::Thursday => 1.0,
        Weekday::Friday => 0.9,
        Weekday::Saturday => 0.8,
        Weekday::Sunday => 0.7,
    }
}

/// How many leads come now, relative to the mean of a week: 0 up to [`BUSIEST`].
#[must_use]
pub fn rush(at_ms: i64, zone: &TimeZone) -> f64 {
    let local = local(at_ms, zone);
    let hour = usize::try_from(local.hour()).unwrap_or_default();
    BUSY.get(hour).copied().unwrap_or_default() * day_weight(local.weekday()) / MEAN_WEIGHT
}

/// The first moment from `at_ms` on at which a lead is awake; some time into the morning where it
/// slept.
#[must_use]
pub fn awake(at_ms: i64, zone: &TimeZone, random: &mut Random) -> i64 {
    let moment = waking(EventTime(at_ms), zone, NIGHT).0;
    if moment == at_ms {
        moment
    } else {
        moment + random.wait_ms(45.0 * MINUTE_MS as f64).min(3 * HOUR_MS)
    }
}

/// The first moment from `at_ms` on at which an agent works; on Saturdays and Sundays only with
/// `weekends`.
#[must_use]
pub fn at_work(at_ms: i64, zone: &TimeZone, weekends: bool, random: &mut Random) -> i64 {
    let off = |at_ms: i64| match local(at_ms, zone).weekday() {
        Weekday::Saturday | Weekday::Sunday => !weekends,
        _ => false,
    };
    let mut moment = waking(EventTime(at_ms), zone, CLOSED).0;
    while off(moment) {
        // Half a day never jumps over a working day, and ends in one after at most five turns.
        moment = waking(EventTime(moment + DAY_MS / 2), zone, CLOSED).0;
    }
    if moment == at_ms {
        moment
    } else {
        moment + random.wait_ms(40.0 * MINUTE_MS as f64).min(3 * HOUR_MS)
    }
}

/// A time to meet in `days` days: when, and how sentences name the day and the hour.
#[must_use]
pub fn slot(
    at_ms: i64,
    days: i64,
    zone: &TimeZone,
    random: &mut Random,
) -> (i64, &'static str, &'static str) {
    let date = local(at_ms + days * DAY_MS, zone).date();
    let (hour, minute, said) =
        SLOTS.get(random.below(SLOTS.len())).copied().unwrap_or((10, 0, "10:00"));
    let start = date.at(hour, minute, 0, 0);
    let start_ms = zone
        .to_ambiguous_timestamp(start)
        .compatible()
        .expect("jiff knows the years of the market")
        .as_millisecond();
    let day = match date.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    };
    (start_ms, day, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::zone;

    #[test]
    fn a_week_has_the_mean_rush_and_no_hour_exceeds_the_busiest() {
        let zone = zone("America/Denver").unwrap();
        let hours: Vec<f64> =
            (0..7 * 24).map(|hour| rush(1_767_225_600_000 + hour * HOUR_MS, &zone)).collect();
        let mean = hours.iter().sum::<f64>() / hours.len() as f64;
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert!(hours.iter().all(|rush| *rush <= BUSIEST));
    }

    #[test]
    fn agents_work_by_day_and_a_slot_is_the_day_it_is_called() {
        let zone = zone("America/Chicago").unwrap();
        let mut random = Random::new(1, 1);
        for hour in 0..24 * 30 {
            let at_ms = 1_767_225_600_000 + hour * HOUR_MS;
            let work = local(at_work(at_ms, &zone, false, &mut random), &zone);
            assert!(
                (8..19).contains(&work.hour())
                    && !matches!(work.weekday(), Weekday::Saturday | Weekday::Sunday),
                "{work}"
            );
            let (start_ms, day, said) = slot(at_ms, 3, &zone, &mut random);
            assert!(
                start_ms > at_ms + DAY_MS
                    && local(start_ms, &zone).strftime("%A").to_string() == day
            );
            assert!(local(start_ms, &zone).strftime("%-I:%M").to_string() == said);
        }
    }
}
