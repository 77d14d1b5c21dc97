//! When to poll a source, and when to retry. Pure rules: the store applies them inside its
//! transactions, and the tasks sleep by them.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::{
    fetch::FetchError,
    source::Role,
    state::{LastError, Polling, SourceState},
    time::Timestamp,
};

/// The longest time limit of a fetch.
pub const LONGEST_FETCH: Duration = Duration::from_secs(600);
/// What a lease lasts beyond the fetch and the wait for the write lock.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The longest lease, and some.
const LONGEST_LEASE: TimeDelta = TimeDelta::minutes(15);
/// The shortest time between the refusal of a key and the attempt at a restart.
pub const REFUSED_REST: TimeDelta = TimeDelta::seconds(30);
/// The interval of a source that was never asked: it is due at once.
const FIRST_INTERVAL: TimeDelta = TimeDelta::seconds(30);
/// The shortest time between an attempt and a requested refresh.
const REQUEST_GAP: TimeDelta = TimeDelta::seconds(10);
/// The shortest time between an attempt and a refresh on miss.
const MISS_GAP: TimeDelta = TimeDelta::minutes(1);
/// The longest `Retry-After` that is honored.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::hours(24);

/// Why a source is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// Its schedule says so.
    Due,
    /// A caller requested a refresh, whatever the schedule says.
    Requested,
    /// A caller requested a model that the source does not list.
    Miss,
    /// Its key is another one than before, whatever came of that.
    NewKey,
}

/// Whether the source may be claimed at `now`.
pub fn may_claim(source: &SourceState, mode: ClaimMode, now: Timestamp) -> bool {
    let polling = &source.polling;
    source.configured
        && match mode {
            ClaimMode::Due => is_due(polling, now),
            ClaimMode::Requested => {
                !is_claimed(polling, now) && has_rested(polling, REQUEST_GAP, now)
            }
            ClaimMode::NewKey => !is_claimed(polling, now),
            ClaimMode::Miss => {
                polling.consecutive_failures == 0
                    && source.held.is_none()
                    && !is_claimed(polling, now)
                    && has_rested(polling, MISS_GAP, now)
            }
        }
}

/// How long a claim keeps others away: for a fetch within `limit`, and for the commit's wait for the
/// write lock, which is at most `lock_wait`.
pub fn lease(limit: Duration, lock_wait: Duration) -> TimeDelta {
    let lease = limit.min(LONGEST_FETCH) + lock_wait + LEASE_MARGIN;
    TimeDelta::from_std(lease).unwrap_or(LONGEST_LEASE)
}

/// Whether a fetch is under way at `now`. A claim in the future comes from a clock that was set back
/// and counts as lost.
pub fn is_claimed(polling: &Polling, now: Timestamp) -> bool {
    let Some(until) = polling.claimed_until else {
        return false;
    };
    now < until && polling.attempted_at.is_some_and(|at| at <= now)
}

/// Whether an attempt is due at `now`. A schedule from a wrong clock counts as due: its last attempt is
/// in the future, or the next one further ahead than any rule sets.
pub fn is_due(polling: &Polling, now: Timestamp) -> bool {
    let furthest = polling.ttl().max(RETRY_AFTER_MAX) + LONGEST_LEASE;
    let is_from_the_future = polling.attempted_at.is_some_and(|at| at > now);
    is_from_the_future
        || polling
            .next_attempt_at
            .is_none_or(|at| at <= now || at.since(now) > furthest)
}

/// The time between two attempts at a source, as its last attempt left it.
pub fn interval(polling: &Polling) -> TimeDelta {
    match (polling.attempted_at, polling.next_attempt_at) {
        (Some(attempted_at), Some(next)) if next > attempted_at => next.since(attempted_at),
        _ => FIRST_INTERVAL,
    }
}

/// Whether the last attempt was at least `gap` before `now`. An attempt in the future comes from a
/// clock that was set back and counts as long ago.
fn has_rested(polling: &Polling, gap: TimeDelta, now: Timestamp) -> bool {
    polling
        .attempted_at
        .is_none_or(|at| at > now || now.since(at) >= gap)
}

/// When the listing that was fetched at `fetched_at` is fetched again: before its TTL ends, so that a
/// healthy source is not stale while it is fetched. By a sixth of the TTL, and a minute at most.
pub fn refresh_at(fetched_at: Timestamp, ttl: TimeDelta) -> Timestamp {
    fetched_at.plus(ttl - (ttl / 6).min(TimeDelta::minutes(1)))
}

/// The next attempt under the TTL `ttl`; none when the last attempt was no success.
pub fn after_last_success(polling: &Polling, ttl: TimeDelta) -> Option<Timestamp> {
    // A later attempt that was cut off is repeated as it was scheduled.
    let fetched_at = polling
        .fetched_at
        .filter(|at| polling.attempted_at.is_none_or(|tried| tried <= *at))
        .filter(|_| polling.consecutive_failures == 0)?;
    Some(refresh_at(fetched_at, ttl))
}

/// `polling` after a success at `now`.
pub fn after_success(polling: &Polling, now: Timestamp) -> Polling {
    Polling {
        fetched_at: Some(now),
        next_attempt_at: Some(refresh_at(now, polling.ttl())),
        consecutive_failures: 0,
        error: None,
        ..polling.clone()
    }
}

/// `polling` after an attempt failed with `error` at `now`.
pub fn after_failure(
    polling: &Polling,
    error: &FetchError,
    backoff: &Backoff,
    jitter: f64,
    now: Timestamp,
) -> Polling {
    let failures = polling.consecutive_failures.saturating_add(1);
    let wait = backoff.wait(failures, error.retry_after, jitter);
    let since = polling.error.as_ref().map(|error| error.since);
    Polling {
        next_attempt_at: Some(now.plus(wait)),
        consecutive_failures: failures,
        error: Some(LastError {
            kind: error.kind,
            message: error.message.clone(),
            since: since.or(polling.attempted_at).unwrap_or(now),
        }),
        ..polling.clone()
    }
}

/// The rules for waiting after failures in a row.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure; it doubles with each further one.
    pub first: TimeDelta,
    /// The longest wait, unless the other side requests more.
    pub longest: TimeDelta,
    /// The shortest wait that the other side may request.
    pub shortest_requested: TimeDelta,
    /// Whether the other side may request less than our own wait.
    pub may_shorten: bool,
}

impl Backoff {
    /// For providers: from 30 s to 1 h.
    pub const PROVIDER: Self = Self {
        first: TimeDelta::seconds(30),
        longest: TimeDelta::hours(1),
        shortest_requested: TimeDelta::seconds(30),
        may_shorten: false,
    };
    /// For endpoints: always 30 s.
    pub const ENDPOINT: Self = Self {
        longest: TimeDelta::seconds(30),
        ..Self::PROVIDER
    };
    /// For providers that have ended: 24 h.
    pub const GONE: Self = Self {
        first: TimeDelta::hours(24),
        longest: TimeDelta::hours(24),
        ..Self::PROVIDER
    };
    /// For webhooks: from 10 s to 6 h, or as long as the target requests.
    pub const WEBHOOK: Self = Self {
        first: TimeDelta::seconds(10),
        longest: TimeDelta::hours(6),
        shortest_requested: TimeDelta::seconds(10),
        may_shorten: true,
    };
    /// For refreshes on miss that find nothing: from 1 min to 1 h.
    pub const MISS: Self = Self {
        first: TimeDelta::minutes(1),
        longest: TimeDelta::hours(1),
        shortest_requested: TimeDelta::zero(),
        may_shorten: false,
    };

    /// The backoff for sources of this role.
    pub fn of(role: Role) -> &'static Self {
        match role {
            Role::Provider => &Self::PROVIDER,
            Role::Endpoint => &Self::ENDPOINT,
        }
    }

    /// The wait after the `failures`th failure in a row, shortened by up to half with `jitter` (0
    /// to 1). `retry_after` is the wait that the other side requests, clamped to 24 h.
    pub fn wait(&self, failures: i64, retry_after: Option<Duration>, jitter: f64) -> TimeDelta {
        // The clamp keeps the shift in range.
        let doublings = failures.clamp(1, 20) - 1;
        let own = jittered((self.first * (1 << doublings)).min(self.longest), jitter);
        let Some(requested) = retry_after else {
            return own;
        };
        let requested = TimeDelta::from_std(requested)
            .unwrap_or(RETRY_AFTER_MAX)
            .clamp(self.shortest_requested, RETRY_AFTER_MAX);
        if self.may_shorten {
            requested
        } else {
            requested.max(own)
        }
    }
}

/// `longest`, shortened by up to half with `jitter` (0 to 1).
fn jittered(longest: TimeDelta, jitter: f64) -> TimeDelta {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "some hours in milliseconds"
    )]
    #[expect(clippy::cast_precision_loss, reason = "some hours in milliseconds")]
    let taken = (longest.num_milliseconds() as f64 / 2.0 * jitter.clamp(0.0, 1.0)) as i64;
    longest - TimeDelta::milliseconds(taken)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::{fetch::ErrorKind, state::Held};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn at(offset_secs: i64) -> Timestamp {
        Timestamp::from_millis(NOW_MS + offset_secs * 1000)
    }

    fn polling(ttl_secs: i64) -> Polling {
        Polling {
            ttl_secs,
            ..Polling::default()
        }
    }

    fn source(polling: Polling) -> SourceState {
        SourceState {
            polling,
            ..SourceState::sample("acme", Role::Provider)
        }
    }

    #[rstest]
    #[case::never_tried(None, true)]
    #[case::now(Some(0), true)]
    #[case::past(Some(-1), true)]
    #[case::soon(Some(1), false)]
    #[case::in_a_day(Some(86_400), false)]
    #[case::clock_was_set_back_an_hour(Some(86_400 + 3_600), true)]
    #[case::clock_was_ten_years_ahead(Some(315_360_000), true)]
    fn due(#[case] next_secs: Option<i64>, #[case] expected: bool) {
        let polling = Polling {
            next_attempt_at: next_secs.map(at),
            ..polling(86_400)
        };
        assert_eq!(is_due(&polling, at(0)), expected);
    }

    #[test]
    fn what_was_scheduled_by_a_clock_that_was_set_back_is_due() {
        let polling = Polling {
            attempted_at: Some(at(3_600)),
            next_attempt_at: Some(at(3_625)),
            ..polling(30)
        };
        assert!(is_due(&polling, at(0)), "not in an hour");
        assert!(!is_due(&polling, at(3_600)));
    }

    #[test]
    fn a_long_ttl_is_no_wrong_clock() {
        let polling = Polling {
            next_attempt_at: Some(at(29 * 86_400)),
            ..polling(30 * 86_400)
        };
        assert!(!is_due(&polling, at(0)));
    }

    #[rstest]
    #[case(ClaimMode::Requested, None, 0, true)]
    #[case(ClaimMode::Requested, Some(-9), 0, false)]
    #[case(ClaimMode::Requested, Some(-10), 3, true)]
    #[case(ClaimMode::Requested, Some(1), 0, true)]
    #[case(ClaimMode::Miss, Some(-59), 0, false)]
    #[case(ClaimMode::Miss, Some(-60), 0, true)]
    #[case(ClaimMode::Miss, Some(-60), 1, false)]
    fn claims(
        #[case] mode: ClaimMode,
        #[case] tried: Option<i64>,
        #[case] failures: i64,
        #[case] may: bool,
    ) {
        let source = source(Polling {
            attempted_at: tried.map(at),
            next_attempt_at: Some(at(100)),
            consecutive_failures: failures,
            ..polling(86_400)
        });
        assert_eq!(may_claim(&source, mode, at(0)), may);
        let gone = SourceState {
            configured: false,
            ..source.clone()
        };
        assert!(!may_claim(&gone, mode, at(0)), "not configured");
        let held = SourceState {
            held: Some(Held {
                since: at(-60),
                models: None,
                missing: None,
            }),
            ..source
        };
        assert_eq!(
            may_claim(&held, mode, at(0)),
            may && mode != ClaimMode::Miss
        );
    }

    #[test]
    fn a_fetch_that_is_under_way_is_not_hurried_and_a_lost_one_is_repeated() {
        let limit = Duration::from_secs(60);
        assert_eq!(
            lease(limit, Duration::from_secs(15)),
            TimeDelta::seconds(80)
        );
        let claimed = source(Polling {
            attempted_at: Some(at(0)),
            next_attempt_at: Some(at(80)),
            claimed_until: Some(at(80)),
            ..polling(86_400)
        });
        for mode in [ClaimMode::Requested, ClaimMode::Due, ClaimMode::Miss] {
            assert!(!may_claim(&claimed, mode, at(79)), "{mode:?}");
            assert!(may_claim(&claimed, mode, at(80)), "{mode:?}");
        }
        assert!(
            may_claim(&claimed, ClaimMode::Requested, at(-1)),
            "the clock was set back"
        );
    }

    #[test]
    fn a_failure_keeps_when_the_first_one_was_and_a_success_forgets_it() {
        let attempt = |offset| Polling {
            attempted_at: Some(at(offset)),
            ..polling(60)
        };
        let error = FetchError::new(ErrorKind::Timeout, "late");
        let first = after_failure(&attempt(-1), &error, &Backoff::PROVIDER, 0.0, at(0));
        assert_eq!(first.next_attempt_at, Some(at(30)));
        let second = Polling {
            attempted_at: Some(at(30)),
            ..first
        };
        let second = after_failure(&second, &error, &Backoff::PROVIDER, 0.0, at(31));
        assert_eq!(second.next_attempt_at, Some(at(91)));
        assert_eq!(second.consecutive_failures, 2);
        assert_eq!(second.error.as_ref().map(|error| error.since), Some(at(-1)));
        let healthy = after_success(&second, at(100));
        assert_eq!(healthy.consecutive_failures, 0);
        assert_eq!(healthy.error, None);
        assert_eq!(healthy.fetched_at, Some(at(100)));
        assert_eq!(
            healthy.next_attempt_at,
            Some(at(150)),
            "before the TTL of a minute ends"
        );
    }

    #[rstest]
    #[case(Backoff::PROVIDER, 1, 30)]
    #[case(Backoff::PROVIDER, 2, 60)]
    #[case(Backoff::PROVIDER, 7, 1_920)]
    #[case(Backoff::PROVIDER, 8, 3_600)]
    #[case(Backoff::PROVIDER, i64::MAX, 3_600)]
    #[case(Backoff::ENDPOINT, 9, 30)]
    #[case(Backoff::GONE, 1, 86_400)]
    #[case(Backoff::GONE, i64::MAX, 86_400)]
    #[case(Backoff::WEBHOOK, 1, 10)]
    #[case(Backoff::WEBHOOK, 2, 20)]
    #[case(Backoff::WEBHOOK, 99, 21_600)]
    #[case(Backoff::MISS, 0, 60)]
    #[case(Backoff::MISS, 99, 3_600)]
    fn doubles_up_to_its_bound(#[case] backoff: Backoff, #[case] failures: i64, #[case] secs: i64) {
        assert_eq!(backoff.wait(failures, None, 0.0), TimeDelta::seconds(secs));
        assert_eq!(
            backoff.wait(failures, None, 1.0),
            TimeDelta::seconds(secs) / 2
        );
    }

    #[rstest]
    #[case::clamped_up(Backoff::PROVIDER, 0, 30)]
    #[case::taken(Backoff::PROVIDER, 50, 50)]
    #[case::clamped_down(Backoff::PROVIDER, 1_000_000, 86_400)]
    #[case::absurd(Backoff::PROVIDER, u64::MAX, 86_400)]
    #[case::a_webhook_may_ask_for_less(Backoff::WEBHOOK, 11, 11)]
    fn waits_as_long_as_the_other_side_asks(
        #[case] backoff: Backoff,
        #[case] asked_secs: u64,
        #[case] secs: i64,
    ) {
        let wait = Some(Duration::from_secs(asked_secs));
        let failures = if backoff.may_shorten { 9 } else { 1 };
        assert_eq!(backoff.wait(failures, wait, 1.0), TimeDelta::seconds(secs));
    }
}
