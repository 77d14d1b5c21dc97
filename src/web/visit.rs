//! A visit of a page: who looks at what, at which moment.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, request::Parts},
    response::Response,
};
use chrono::{NaiveDate, TimeDelta};

use super::{address::query, response};
use crate::{
    api::{auth::Caller, costly::costly, error::ApiError, models::past, request::parameters},
    catalog::Catalog,
    model::{event::Moment, time::Timestamp},
    snapshot::Snapshot,
};

/// A visit of a page.
pub struct Visit {
    /// The catalog.
    pub catalog: Catalog,
    /// Who looks.
    pub caller: Caller,
    /// The address.
    pub uri: Uri,
    /// What the browser sends with it.
    pub headers: HeaderMap,
    /// The present time.
    pub now: Timestamp,
    /// The moment that is looked at.
    pub when: When,
}

impl FromRequestParts<Catalog> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, catalog: &Catalog) -> Result<Self, ApiError> {
        let now = catalog.now();
        Ok(Self {
            catalog: catalog.clone(),
            caller: Caller::of(catalog, &parts.uri, &parts.headers)?,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            when: When::of(&parts.uri, now)?,
            now,
        })
    }
}

impl Visit {
    /// The moment that is looked at, the present or a past one.
    pub fn moment(&self) -> Timestamp {
        self.when.past.unwrap_or(self.now)
    }

    /// The parameter `wanted` of the address, if it has one that is not blank.
    pub fn parameter(&self, wanted: &str) -> Option<Cow<'_, str>> {
        let found = parameters(self.uri.query()).find(|(name, _)| name == wanted);
        Some(found?.1)
    }

    /// The models that may be seen at the moment that is looked at. Costly, unless it is now.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, ApiError> {
        self.snapshot_at(self.when.past).await
    }

    /// The models that may be seen at `past`, or now without one.
    pub async fn snapshot_at(&self, past: Option<Timestamp>) -> Result<Arc<Snapshot>, ApiError> {
        let whole = match past {
            Some(at) => past::snapshot(&self.catalog, Moment::Time(at)).await?,
            None => self.catalog.current().snapshot.clone(),
        };
        self.caller.sees(&whole)
    }

    /// Answers with `html`, or 304 when the browser has it.
    pub fn answer(&self, html: String) -> Response {
        response::answer(html, &self.headers)
    }

    /// Answers with what `make` makes of this visit, off the serving threads.
    pub async fn answer_with<F>(self, make: impl FnOnce(Self) -> F) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let catalog = self.catalog.clone();
        costly(&catalog, make(self)).await
    }
}

/// The moment that a page shows.
#[derive(Clone, Debug)]
pub struct When {
    /// The parameter `at`, as it is written; empty for now.
    pub text: String,
    /// The moment of the past; none for now.
    pub past: Option<Timestamp>,
}

impl When {
    /// The moment that the query of `uri` names with `at=`: a day, which means its end, or a time.
    pub fn of(uri: &Uri, now: Timestamp) -> Result<Self, ApiError> {
        let at = parameters(uri.query()).find(|(name, _)| name == "at");
        let Some((_, text)) = at else {
            return Ok(Self {
                text: String::new(),
                past: None,
            });
        };
        let time = parse(&text, now)?;
        Ok(Self {
            text: text.into_owned(),
            past: (time < now).then_some(time),
        })
    }

    /// The query of a link to the same moment on another page: `?at=2026-11-20`, or nothing.
    pub fn query(&self) -> String {
        self.query_with(&[])
    }

    /// The same, with further `parameters`.
    pub fn query_with(&self, parameters: &[(&str, &str)]) -> String {
        let at = [("at", self.text.as_str())];
        query(parameters.iter().copied().chain(at))
    }
}

/// The moment that `text` names: a day, which means its end (of today: now), or a time. Fails when it is
/// neither.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let end_of_day = |day: NaiveDate| {
        let next = day.succ_opt()?.and_hms_opt(0, 0, 0)?.and_utc();
        Some(Timestamp::from(next).plus(TimeDelta::milliseconds(-1)))
    };
    let day = text.parse::<NaiveDate>().ok().and_then(end_of_day);
    // An unencoded plus sign arrives as a space.
    let time = day.or_else(|| text.replace(' ', "+").parse().ok());
    let time = time.ok_or_else(|| {
        ApiError::bad(
            "invalid_time",
            "The date must be a day such as 2026-11-20, or a time such as 2026-11-20T08:00:00Z.",
        )
    })?;
    Ok(time.min(now))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-11-20", "2026-11-20T23:59:59.999Z")]
    #[case("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000Z")]
    #[case("2026-11-20T08:00:00 02:00", "2026-11-20T06:00:00.000Z")]
    #[case("2027-01-15", "2027-01-15T08:00:00.000Z")]
    #[case("2030-01-01", "2027-01-15T08:00:00.000Z")]
    fn a_day_means_its_end(#[case] text: &str, #[case] expected: &str) {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = parse(text, now).expect("usable");
        assert_eq!(at.to_string(), expected);
    }

    #[rstest]
    #[case("yesterday")]
    #[case("2026-13-01")]
    #[case("20")]
    fn other_texts_are_no_date(#[case] text: &str) {
        assert!(parse(text, Timestamp::from_millis(0)).is_err());
    }

    #[test]
    fn links_keep_the_moment() {
        let when = When {
            text: "2026-11-20".to_owned(),
            past: None,
        };
        assert_eq!(when.query(), "?at=2026-11-20");
        assert_eq!(
            when.query_with(&[("q", "a&b"), ("x", "")]),
            "?q=a%26b&at=2026-11-20"
        );
        assert_eq!(query([("x", "")]), "");
    }
}
