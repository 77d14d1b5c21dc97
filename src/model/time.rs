//! Time: the one text form of timestamps in the database and in answers, durations, and the clock.
//!
//! Code that decides by time takes `now` as an argument. Only loops and handlers read a [`Clock`].

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment in UTC with millisecond precision, from year 0 to year 9999.
///
/// Its text form is always `2026-11-23T00:38:37.000Z`: 24 characters, readable for people and
/// comparable as text in SQL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = DateTime, examples("2026-11-23T00:38:37.000Z"))]
pub struct Timestamp(DateTime<Utc>);

/// Milliseconds of `0000-01-01T00:00:00.000Z` and `9999-12-31T23:59:59.999Z`. Outside of them the
/// text form would be longer.
const RANGE_MS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

impl Timestamp {
    /// `milliseconds` since 1970, clamped to the years 0 to 9999.
    pub fn from_millis(milliseconds: i64) -> Self {
        let clamped = milliseconds.clamp(RANGE_MS.0, RANGE_MS.1);
        Self(DateTime::from_timestamp_millis(clamped).unwrap_or_default())
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Whole seconds since 1970.
    pub fn unix_seconds(self) -> i64 {
        self.millis().div_euclid(1000)
    }

    /// Its date in UTC, such as `2026-11-23`.
    pub fn date(self) -> NaiveDate {
        self.0.date_naive()
    }

    /// This moment plus `delta` (which may be negative), clamped to the years 0 to 9999.
    pub fn plus(self, delta: TimeDelta) -> Self {
        Self::from_millis(self.millis().saturating_add(delta.num_milliseconds()))
    }

    /// This moment as chrono's type.
    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// The time from `earlier` to this moment; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> TimeDelta {
        TimeDelta::milliseconds(self.millis() - earlier.millis())
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(DateTime::parse_from_rfc3339(text)?.to_utc().into())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = chrono::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<DB: sqlx::Database> sqlx::Type<DB> for Timestamp
where
    String: sqlx::Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <String as sqlx::Type<DB>>::type_info()
    }
}

impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for Timestamp
where
    String: sqlx::Encode<'q, DB>,
{
    fn encode_by_ref(
        &self,
        buffer: &mut DB::ArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        <String as sqlx::Encode<'q, DB>>::encode(self.to_string(), buffer)
    }
}

impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for Timestamp
where
    &'r str: sqlx::Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(<&str as sqlx::Decode<DB>>::decode(value)?.parse()?)
    }
}

/// Parses a duration: whole seconds (`90`), or numbers with units (`90s`, `1h 30m`, `30d`). None
/// when `text` is neither, or is negative. The only parser of durations.
pub fn parse_duration(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let duration = match text.parse() {
        Ok(seconds) => std::time::Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).ok()?,
    };
    TimeDelta::from_std(duration).ok()
}

/// The system's clock, plus an offset that tests change.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    /// Whether it moves only by [`Clock::advance`].
    is_stopped: bool,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `time` and moves only by [`Clock::advance`], for tests.
    pub fn stopped_at(time: Timestamp) -> Self {
        Self {
            offset_ms: Arc::new(AtomicI64::new(time.millis())),
            is_stopped: true,
        }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        let base = match self.is_stopped {
            true => Timestamp::from_millis(0),
            false => Timestamp::from(Utc::now()),
        };
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        base.plus(TimeDelta::milliseconds(offset_ms))
    }

    /// Moves this clock and its clones by `by`, forward or back.
    pub fn advance(&self, by: TimeDelta) {
        self.offset_ms
            .fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_text_form() {
        for (text, expected) in [
            ("2026-11-23T00:38:37Z", "2026-11-23T00:38:37.000Z"),
            (
                "2026-11-23T01:38:37.123456789+01:00",
                "2026-11-23T00:38:37.123Z",
            ),
        ] {
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!(time.to_string(), expected);
            assert_eq!(serde_json::to_value(time).expect("JSON"), expected);
        }
    }

    #[test]
    fn stays_in_the_range_of_its_form() {
        for millis in [i64::MIN, i64::MAX] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().len(), 24);
            assert_eq!(time.plus(TimeDelta::MAX).to_string().len(), 24);
            assert_eq!(time.plus(TimeDelta::MIN).to_string().len(), 24);
        }
    }
}
