//! Which listings are held for confirmation, and which failures hide a source. A provider's glitch
//! must not empty the list, and models that cannot be called must not stay in it.

use chrono::TimeDelta;

use crate::model::{source::Role, time::Timestamp};

/// How long after a suspicious listing the source is fetched again: 10 minutes, endpoints 30 s.
pub fn held_retry(role: Role) -> TimeDelta {
    match role {
        Role::Provider => TimeDelta::minutes(10),
        Role::Endpoint => TimeDelta::seconds(30),
    }
}

/// A provider is hidden when its key was refused this often …
const REFUSALS_TO_HIDE: i64 = 3;
/// … over this time.
const REFUSED_TO_HIDE: TimeDelta = TimeDelta::hours(24);

/// Whether a listing of `listed` models is suspicious for a source of which `stored` models are
/// known: a provider that suddenly lists nothing or less than half, an endpoint that suddenly lists
/// nothing. Endpoints unload models all day: fewer of theirs is no news.
pub fn is_suspicious(role: Role, stored: usize, listed: usize) -> bool {
    match role {
        Role::Provider => listed.saturating_mul(2) < stored,
        Role::Endpoint => listed == 0 && stored > 0,
    }
}

/// Whether a suspicious listing at `now` is the second one: the first came at least [`held_retry`]
/// before, so that requesting a refresh cannot make two of one glitch.
pub fn is_confirmed(role: Role, held_since: Option<Timestamp>, now: Timestamp) -> bool {
    held_since.is_some_and(|since| now.since(since) >= held_retry(role))
}

/// When a source last heard from at `fetched_at` has been stale for as long as its models may be
/// served: an attempt that fails then hides it. Without a `max_stale` never.
pub fn gone_at(
    fetched_at: Timestamp,
    ttl: TimeDelta,
    max_stale: Option<TimeDelta>,
) -> Option<Timestamp> {
    Some(fetched_at.plus(ttl).plus(max_stale?))
}

/// Whether a provider's key has been refused so often, `since` when, that its models cannot be
/// called: three times over 24 h.
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
