//! How values look on pages: times, ages, numbers, links to models.

use std::fmt;

use askama::filters::HtmlSafe;
use chrono::TimeDelta;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::{
    api::error::NOT_IN_PATHS,
    model::{source::SourceName, time::Timestamp},
};

/// A time: UTC in the page, which the script turns into the reader's own zone.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    at: Timestamp,
    /// What is shown of it.
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// The day on which something happened, where the reader is.
    Day,
    /// A day that was announced as one: the same everywhere.
    Date,
    Minute,
}

impl Time {
    /// Shows the day of `at`.
    pub fn day(at: Timestamp) -> Self {
        Self {
            at,
            form: Form::Day,
        }
    }

    /// Shows the day of `at`, which was announced as a day: it is the same in every zone.
    pub fn date(at: Timestamp) -> Self {
        Self {
            at,
            form: Form::Date,
        }
    }

    /// Shows `at` to the minute.
    pub fn minute(at: Timestamp) -> Self {
        Self {
            at,
            form: Form::Minute,
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, shown) = match self.form {
            Form::Day => ("day", "%Y-%m-%d"),
            Form::Date => ("date", "%Y-%m-%d"),
            Form::Minute => ("minute", "%Y-%m-%d %H:%M"),
        };
        let utc = self.at.utc();
        write!(
            f,
            r#"<time datetime="{}" data-form="{form}" title="{} UTC">{}</time>"#,
            self.at,
            utc.format("%Y-%m-%d %H:%M:%S"),
            utc.format(shown)
        )
    }
}

// Digits, letters of formats and our own markup.
impl HtmlSafe for Time {}

/// A span of time in its largest unit: `3 h`, `2 days`.
pub fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit}")
}

/// How long ago `at` was.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.since(at) {
        age if age < TimeDelta::seconds(5) => "just now".to_owned(),
        age => format!("{} ago", span(age)),
    }
}

/// How long until `at`.
pub fn until(at: Timestamp, now: Timestamp) -> String {
    match at.since(now) {
        left if left < TimeDelta::seconds(1) => "now".to_owned(),
        left => format!("in {}", span(left)),
    }
}

/// A number with its thousands apart: `131,072`.
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match number < 0 {
        true => format!("−{text}"),
        false => text,
    }
}

/// A number and what it counts: `1 model`, `2 models`.
pub fn count(of: i64, what: &str) -> String {
    let s = if of == 1 { "" } else { "s" };
    format!("{} {what}{s}", number(of))
}

/// A value of a model's attributes, in short.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(other) => other.as_i64().map_or_else(|| other.to_string(), number),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(self::value).collect();
            values.join(", ")
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name} {}", raw(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            fields.join(", ")
        }
        Value::Bool(_) => value.to_string(),
    }
}

/// A value as its source writes it.
fn raw(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The path of the page of the model `id`.
pub fn model_path(id: &str) -> String {
    let mut path = "/ui/models/".to_owned();
    for (place, segment) in id.split('/').enumerate() {
        if place > 0 {
            // Browsers would resolve the segments `.` and `..`.
            path += if matches!(segment, "." | "..") {
                "%2F"
            } else {
                "/"
            };
        }
        path.extend(utf8_percent_encode(segment, &NOT_IN_PATHS));
    }
    path
}

/// The names of `sources`, separated by commas.
pub fn names<'a>(sources: impl IntoIterator<Item = &'a SourceName>) -> String {
    let names: Vec<&str> = sources.into_iter().map(SourceName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_000, "1,000")]
    #[case(1_048_576, "1,048,576")]
    #[case(-12_345, "−12,345")]
    fn numbers(#[case] of: i64, #[case] expected: &str) {
        assert_eq!(number(of), expected);
    }

    #[rstest]
    #[case(-5, "0 s")]
    #[case(59, "59 s")]
    #[case(60, "1 min")]
    #[case(7_200, "2 h")]
    #[case(172_799, "47 h")]
    #[case(172_800, "2 days")]
    fn spans(#[case] seconds: i64, #[case] expected: &str) {
        assert_eq!(span(TimeDelta::seconds(seconds)), expected);
    }

    #[test]
    fn times_are_utc_for_readers_without_javascript() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(
            Time::minute(at).to_string(),
            r#"<time datetime="2027-01-15T08:00:00.000Z" data-form="minute" title="2027-01-15 08:00:00 UTC">2027-01-15 08:00</time>"#
        );
        let later = at.plus(TimeDelta::minutes(3));
        assert_eq!(ago(at, later), "3 min ago");
        assert_eq!(ago(later, at), "just now", "a clock that was set back");
        assert_eq!(until(later, at), "in 3 min");
        assert_eq!(until(at, later), "now");
    }

    #[test]
    fn values_are_short() {
        let values =
            json!([null, "a", 128000, 0.5, ["x", "y"], {"input": "0.1", "tiers": [1]}, true]);
        let shown: Vec<String> = values
            .as_array()
            .expect("an array")
            .iter()
            .map(value)
            .collect();
        let expected = [
            "nothing",
            "a",
            "128,000",
            "0.5",
            "x, y",
            "input 0.1, tiers [1]",
            "true",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn ids_keep_their_slashes_in_paths() {
        assert_eq!(
            model_path("openai:a/b?c#d e%"),
            "/ui/models/openai:a/b%3Fc%23d%20e%25"
        );
        assert_eq!(
            model_path("odd:a/../b/./c/.d"),
            "/ui/models/odd:a%2F../b%2F./c/.d"
        );
    }
}
