//! Reads the times that sources give, for every kind. Pure.
//!
//! A number is in seconds; one too large for our era is in milli-, micro- or nanoseconds. A text is
//! a number, an RFC 3339 time, the same without a zone (UTC), or a day. A time outside 1970 to 2100
//! is ignored: clients raise on years that their calendars lack.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

use super::value::float;
use crate::model::time::Timestamp;

/// The first second of 2100, the end of our era, in milliseconds. It begins at 1: 0 means unknown.
const END_MS: i64 = 4_102_444_800_000;
/// From here on a number is in milliseconds, not seconds: the year 1973, not 5138.
const FIRST_MILLISECOND: f64 = 1e11;
/// A smaller number in a text is a year or a version.
const FIRST_OF_TEXT: f64 = 1e8;

/// Reads `value` as a time; none outside 1970 to 2100.
pub fn time(value: &Value) -> Option<Timestamp> {
    let millis = match value {
        Value::Number(_) => of_number(float(value)?)?,
        Value::String(text) => of_text(text.trim())?,
        _ => return None,
    };
    (1..END_MS)
        .contains(&millis)
        .then(|| Timestamp::from_millis(millis))
}

/// Returns the first readable time in `values`, in Unix seconds; 0 without one.
pub fn created<'v>(values: impl IntoIterator<Item = &'v Value>) -> i64 {
    let moment = values.into_iter().find_map(time);
    moment.map_or(0, |moment| moment.millis().div_euclid(1000))
}

/// Converts seconds, milli-, micro- or nanoseconds to milliseconds.
fn of_number(number: f64) -> Option<i64> {
    let mut millis = number * 1000.0;
    // Three steps suffice for nanoseconds.
    for _ in 0..3 {
        if millis >= FIRST_MILLISECOND * 1000.0 {
            millis /= 1000.0;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let end = END_MS as f64;
    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    (millis >= 1.0 && millis < end).then(|| millis.round() as i64)
}

fn of_text(text: &str) -> Option<i64> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number {
        let number = text
            .parse()
            .ok()
            .filter(|number| *number >= FIRST_OF_TEXT)?;
        return of_number(number);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::seconds(json!(1_704_067_200), 1_704_067_200)]
    #[case::small(json!(5), 5)]
    #[case::fraction(json!(1_704_067_200.9), 1_704_067_200)]
    #[case::milliseconds(json!(1_704_067_200_123_i64), 1_704_067_200)]
    #[case::microseconds(json!(1_704_067_200_123_456_i64), 1_704_067_200)]
    #[case::nanoseconds(json!(1_704_067_200_123_456_789_i64), 1_704_067_200)]
    #[case::text(json!("1704067200"), 1_704_067_200)]
    #[case::text_fraction(json!("1704067200.5"), 1_704_067_200)]
    #[case::text_milliseconds(json!("1704067200000"), 1_704_067_200)]
    #[case::iso(json!("2024-01-01T00:00:00Z"), 1_704_067_200)]
    #[case::zone(json!("2024-01-01T01:00:00.25+01:00"), 1_704_067_200)]
    #[case::no_zone(json!("2024-01-01T00:00:00.123456"), 1_704_067_200)]
    #[case::blank_between(json!("2024-01-01 00:00:00"), 1_704_067_200)]
    #[case::blank_and_zone(json!("2024-01-01 00:00:00+00:00"), 1_704_067_200)]
    #[case::day(json!(" 2024-01-01 "), 1_704_067_200)]
    #[case::year(json!("2024"), 0)]
    #[case::words(json!("yesterday"), 0)]
    #[case::nothing(json!(0), 0)]
    #[case::before(json!(-62_135_596_801_i64), 0)]
    #[case::between(json!(5_000_000_000_i64), 0)]
    #[case::after(json!(4_102_444_800_i64), 0)]
    #[case::far(json!(i64::MAX), 0)]
    #[case::far_text(json!("9999-12-31T23:59:59Z"), 0)]
    #[case::year_nought(json!("0000-01-01T00:00:00Z"), 0)]
    #[case::year_one(json!("0001-01-01T00:00:00Z"), 0)]
    #[case::huge(json!(1e300), 0)]
    #[case::other(json!({"seconds": 5}), 0)]
    fn a_second_of_our_era_or_0(#[case] value: Value, #[case] expected: i64) {
        assert_eq!(created([&value]), expected, "{value}");
    }

    #[test]
    fn the_first_readable_one_counts() {
        assert_eq!(created([&json!("soon"), &json!(7)]), 7);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_it_is_within_our_era(number in any::<f64>(), whole in any::<i64>(), text in "[0-9T:Z+.-]{0,30}") {
            for value in [json!(number), json!(whole), json!(text), json!(whole.to_string())] {
                prop_assert!((0..END_MS / 1000).contains(&created([&value])), "{value}");
            }
        }
    }
}
