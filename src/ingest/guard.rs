//! Which listings to hold for confirmation, and which failures hide a source. A provider's glitch
//! must not empty the list, and models that cannot be called must not stay in it.

use chrono::TimeDelta;

use crate::model::{
    fetch::{EndSign, FetchError},
    source::Role,
    state::Ending,
    time::Timestamp,
};

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
pub fn unreachable_from(
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

/// A 410 is believed when another follows this much later: a proxy may send one by mistake.
const GONE_CONFIRMED: TimeDelta = TimeDelta::minutes(10);
/// A host that does not exist is believed to be gone after this time: a domain may lapse for some
/// weeks, and be renewed.
const NO_HOST_CONFIRMED: TimeDelta = TimeDelta::days(30);

/// What the failures of a provider say of its end, after one more at `now`. An answer that says
/// something else takes it back; a failure without an answer says nothing.
pub fn ending(before: Option<&Ending>, error: &FetchError, now: Timestamp) -> Option<Ending> {
    let Some(sign) = error.end_sign() else {
        return before.filter(|_| error.http_status.is_none()).cloned();
    };
    // A date in the future comes from a clock that was set back.
    let before = before.filter(|before| before.sign == sign && before.since <= now);
    let since = before.map_or(now, |before| before.since);
    Some(Ending { sign, since })
}

/// Whether a provider has ended, given a failure at `now` and what it made of its `ending`.
pub fn has_ended(ending: Option<&Ending>, error: &FetchError, now: Timestamp) -> bool {
    ending.is_some_and(|ending| {
        let wait = match ending.sign {
            EndSign::Gone => GONE_CONFIRMED,
            EndSign::NoHost => NO_HOST_CONFIRMED,
        };
        error.end_sign() == Some(ending.sign) && now.since(ending.since) >= wait
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::fetch::ErrorKind;

    const DAY: i64 = 86_400;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + secs * 1000)
    }

    fn answer(status: Option<u16>) -> FetchError {
        FetchError {
            http_status: status,
            ..FetchError::new(ErrorKind::Rejected, "on purpose")
        }
    }

    fn no_host() -> FetchError {
        FetchError {
            has_no_host: true,
            ..FetchError::new(ErrorKind::Unreachable, "on purpose")
        }
    }

    /// What failures at the given seconds make of a source.
    #[rstest]
    #[case::one_410(&[(0, answer(Some(410)))], Some(0), false)]
    #[case::twice_at_once(&[(0, answer(Some(410))), (599, answer(Some(410)))], Some(0), false)]
    #[case::again(&[(0, answer(Some(410))), (600, answer(Some(410)))], Some(0), true)]
    #[case::with_silence_between(&[(0, answer(Some(410))), (300, answer(None)), (600, answer(Some(410)))], Some(0), true)]
    #[case::silence_is_no_410(&[(0, answer(Some(410))), (600, answer(None))], Some(0), false)]
    #[case::taken_back(&[(0, answer(Some(410))), (300, answer(Some(500))), (600, answer(Some(410)))], Some(600), false)]
    #[case::another_status(&[(0, answer(Some(404)))], None, false)]
    #[case::on_a_later_page(&[(0, FetchError { pages: 1, ..answer(Some(410)) })], None, false)]
    #[case::no_host(&[(0, no_host()), (30 * DAY - 1, no_host())], Some(0), false)]
    #[case::no_host_for_30_days(&[(0, no_host()), (9 * DAY, answer(None)), (30 * DAY, no_host())], Some(0), true)]
    #[case::it_was_back(&[(0, no_host()), (9 * DAY, answer(Some(503))), (30 * DAY, no_host())], Some(30 * DAY), false)]
    #[case::signs_do_not_add_up(&[(0, no_host()), (30 * DAY, answer(Some(410)))], Some(30 * DAY), false)]
    #[case::a_clock_that_was_set_back(&[(30 * DAY, no_host()), (0, no_host())], Some(0), false)]
    fn ends(
        #[case] failures: &[(i64, FetchError)],
        #[case] since: Option<i64>,
        #[case] expected: bool,
    ) {
        let (mut state, mut ended) = (None, false);
        for (secs, error) in failures {
            state = ending(state.as_ref(), error, at(*secs));
            ended = has_ended(state.as_ref(), error, at(*secs));
        }
        assert_eq!(state.map(|ending| ending.since), since.map(at));
        assert_eq!(ended, expected);
    }

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
