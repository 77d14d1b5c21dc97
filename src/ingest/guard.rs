//! Which listings to hold for confirmation, and which failures hide a source. A provider's glitch
//! must not empty the list, and models that cannot be called must not stay in it.

use chrono::TimeDelta;

use crate::model::{source::Role, time::Timestamp};

/// Time between a suspicious listing and the fetch that may confirm it: 10 minutes, endpoints 30 s.
pub fn held_retry(role: Role) -> TimeDelta {
    match role {
        Role::Provider => TimeDelta::minutes(10),
        Role::Endpoint => TimeDelta::seconds(30),
    }
}

/// A provider is hidden after this many refusals of its key …
const REFUSALS_TO_HIDE: i64 = 3;
/// … over at least this time.
const REFUSED_TO_HIDE: TimeDelta = TimeDelta::hours(24);

/// Whether a source's listing of `listed` models is suspicious, given `stored` models. For a provider:
/// it is empty, or less than half. For an endpoint: it is empty; endpoints load and unload models all
/// day, so fewer is normal.
pub fn is_suspicious(role: Role, stored: usize, listed: usize) -> bool {
    match role {
        Role::Provider => listed.saturating_mul(2) < stored,
        Role::Endpoint => listed == 0 && stored > 0,
    }
}

/// Whether a suspicious listing at `now` confirms the first one. It must come at least [`held_retry`]
/// later, so that a caller cannot confirm one glitch by refreshing again.
pub fn is_confirmed(role: Role, held_since: Option<Timestamp>, now: Timestamp) -> bool {
    held_since.is_some_and(|since| now.since(since) >= held_retry(role))
}

/// When a source last fetched at `fetched_at` has been stale for `max_stale`: from then on, a
/// failed attempt hides it. None without a `max_stale`.
pub fn gone_at(
    fetched_at: Timestamp,
    ttl: TimeDelta,
    max_stale: Option<TimeDelta>,
) -> Option<Timestamp> {
    Some(fetched_at.plus(ttl).plus(max_stale?))
}

/// Whether a provider's models count as uncallable, because its key was refused three times over
/// 24 h.
pub fn is_refused_for_good(refusals: i64, since: Timestamp, now: Timestamp) -> bool {
    refusals >= REFUSALS_TO_HIDE && now.since(since) >= REFUSED_TO_HIDE
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::first_listing(0, 0, false)]
    #[case::nothing(1, 0, true)]
    #[case::half(4, 2, false)]
    #[case::less_than_half(5, 2, true)]
    #[case::growth(1, 1_000, false)]
    fn suspicious(#[case] stored: usize, #[case] listed: usize, #[case] expected: bool) {
        assert_eq!(is_suspicious(Role::Provider, stored, listed), expected);
        let has_nothing = listed == 0 && stored > 0;
        assert_eq!(is_suspicious(Role::Endpoint, stored, listed), has_nothing);
    }
}
