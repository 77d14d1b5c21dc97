//! When a source may be asked and when again: pure rules over times. `store` applies them inside
//! its transactions, `refresh` sleeps by them.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::{source::Role, time::Timestamp};

/// How long a claim keeps others away: well over the time limit of a fetch.
pub const CLAIM: TimeDelta = TimeDelta::seconds(30);
/// The shortest time between two refreshes that somebody asked for.
const ASKED_GAP: TimeDelta = TimeDelta::seconds(10);
/// How long after an attempt a miss does not look.
pub const MISS_GAP: TimeDelta = TimeDelta::minutes(1);

const BACKOFF_MIN: TimeDelta = TimeDelta::seconds(30);
const BACKOFF_MAX: TimeDelta = TimeDelta::hours(1);
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::hours(24);

/// Why a source is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// Because its schedule says so.
    Due,
    /// Because somebody asked for it, whatever the schedule says.
    Asked,
    /// Because somebody asked for a model that it does not list.
    Miss,
}

/// The part of a source's state that decides when it may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Whether the settings name the source.
    pub configured: bool,
    /// How long its listing is fresh, by the settings of the last process that started.
    pub ttl_secs: i64,
    /// Whether the last success was at another address than that of the settings.
    pub moved: bool,
    /// Last success.
    pub fetched_at: Option<Timestamp>,
    /// Last attempt.
    pub attempted_at: Option<Timestamp>,
    /// Not before then.
    pub next_attempt_at: Option<Timestamp>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// Whether a strange answer is held.
    pub held: bool,
    /// Whether the last attempt's key was refused.
    pub unauthorized: bool,
}

impl Schedule {
    /// How long the source's listing is fresh.
    pub fn ttl(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX)
    }

    /// Whether the source may be claimed at `now`.
    pub fn may_claim(&self, mode: ClaimMode, now: Timestamp) -> bool {
        let rested = |gap| has_rested(self.attempted_at, gap, now);
        self.configured
            && match mode {
                ClaimMode::Due => is_due(self.next_attempt_at, self.ttl(), now),
                ClaimMode::Asked => rested(ASKED_GAP),
                ClaimMode::Miss => self.consecutive_failures == 0 && !self.held && rested(MISS_GAP),
            }
    }

    /// The next attempt as a restart at `now` sets it; none where it stays as it is.
    pub fn next_attempt_after_restart(&self, now: Timestamp) -> Option<Timestamp> {
        if self.unauthorized {
            let rested = self
                .attempted_at
                .is_none_or(|at| at > now || now.since(at) > CLAIM);
            return rested.then_some(now);
        }
        // A success that no later attempt has followed is scheduled by the TTL alone.
        let fetched_at = self
            .fetched_at
            .filter(|_| !self.moved)
            .filter(|at| self.attempted_at.is_none_or(|tried| tried <= *at))?;
        (self.consecutive_failures == 0).then(|| fetched_at.plus(self.ttl()))
    }
}

/// Whether the last attempt was at least `gap` before `now`. One in the future is from a clock that
/// was set back: it counts as long ago.
pub fn has_rested(attempted_at: Option<Timestamp>, gap: TimeDelta, now: Timestamp) -> bool {
    attempted_at.is_none_or(|at| at > now || now.since(at) >= gap)
}

/// Whether a source with this `next_attempt_at` is due at `now`. Times further ahead than any rule
/// sets them (a clock was wrong) count as due.
pub fn is_due(next_attempt_at: Option<Timestamp>, ttl: TimeDelta, now: Timestamp) -> bool {
    let furthest = ttl.max(RETRY_AFTER_MAX) + CLAIM;
    next_attempt_at.is_none_or(|at| at <= now || at.since(now) > furthest)
}

/// How long to wait after the `failures`th failure in a row: doubling from 30 s to 1 h (endpoints:
/// 30 s), of which `jitter` (0 to 1) takes away up to half. What the source asked for is waited at
/// least, clamped to 30 s – 24 h.
pub fn backoff(role: Role, failures: i64, retry_after: Option<Duration>, jitter: f64) -> TimeDelta {
    let doublings = match role {
        Role::Provider => failures.clamp(1, 20) - 1,
        Role::Endpoint => 0,
    };
    let longest = (BACKOFF_MIN * (1 << doublings)).min(BACKOFF_MAX);
    let own = jittered(longest, jitter);
    match retry_after {
        None => own,
        Some(wait) => TimeDelta::from_std(wait)
            .unwrap_or(RETRY_AFTER_MAX)
            .clamp(BACKOFF_MIN, RETRY_AFTER_MAX)
            .max(own),
    }
}

/// `longest` less what `jitter` (0 to 1) takes away: up to half.
pub fn jittered(longest: TimeDelta, jitter: f64) -> TimeDelta {
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

    const NOW_MS: i64 = 1_800_000_000_000;

    fn at(offset_secs: i64) -> Timestamp {
        Timestamp::from_millis(NOW_MS + offset_secs * 1000)
    }

    fn schedule() -> Schedule {
        Schedule {
            configured: true,
            ttl_secs: 86_400,
            ..Schedule::default()
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
        assert_eq!(
            is_due(next_secs.map(at), TimeDelta::hours(24), at(0)),
            expected
        );
    }

    #[test]
    fn a_long_ttl_is_no_wrong_clock() {
        assert!(!is_due(Some(at(29 * 86_400)), TimeDelta::days(30), at(0)));
    }

    #[rstest]
    #[case(ClaimMode::Asked, None, 0, true)]
    #[case(ClaimMode::Asked, Some(-9), 0, false)]
    #[case(ClaimMode::Asked, Some(-10), 3, true)]
    #[case(ClaimMode::Asked, Some(1), 0, true)]
    #[case(ClaimMode::Miss, Some(-59), 0, false)]
    #[case(ClaimMode::Miss, Some(-60), 0, true)]
    #[case(ClaimMode::Miss, Some(-60), 1, false)]
    fn claims(
        #[case] mode: ClaimMode,
        #[case] tried: Option<i64>,
        #[case] failures: i64,
        #[case] may: bool,
    ) {
        let schedule = Schedule {
            attempted_at: tried.map(at),
            next_attempt_at: Some(at(100)),
            consecutive_failures: failures,
            ..schedule()
        };
        assert_eq!(schedule.may_claim(mode, at(0)), may);
        let gone = Schedule {
            configured: false,
            ..schedule
        };
        assert!(!gone.may_claim(mode, at(0)), "not configured");
    }

    #[test]
    fn a_restart_applies_the_ttl_and_forgives_refused_keys() {
        let fetched = Schedule {
            fetched_at: Some(at(-100)),
            attempted_at: Some(at(-101)),
            next_attempt_at: Some(at(5)),
            ttl_secs: 60,
            ..schedule()
        };
        assert_eq!(fetched.next_attempt_after_restart(at(0)), Some(at(-40)));
        let claimed_by_another = Schedule {
            attempted_at: Some(at(-3)),
            ..fetched.clone()
        };
        assert_eq!(claimed_by_another.next_attempt_after_restart(at(0)), None);
        let failing = Schedule {
            consecutive_failures: 2,
            attempted_at: Some(at(-31)),
            ..fetched
        };
        assert_eq!(failing.next_attempt_after_restart(at(0)), None);
        let refused = Schedule {
            unauthorized: true,
            ..failing
        };
        assert_eq!(refused.next_attempt_after_restart(at(0)), Some(at(0)));
        let just_refused = Schedule {
            attempted_at: Some(at(-30)),
            ..refused
        };
        assert_eq!(just_refused.next_attempt_after_restart(at(0)), None);
    }

    #[rstest]
    #[case(Role::Provider, 1, 30)]
    #[case(Role::Provider, 2, 60)]
    #[case(Role::Provider, 7, 1_920)]
    #[case(Role::Provider, 8, 3_600)]
    #[case(Role::Provider, i64::MAX, 3_600)]
    #[case(Role::Endpoint, 9, 30)]
    fn doubles_to_an_hour(#[case] role: Role, #[case] failures: i64, #[case] secs: i64) {
        assert_eq!(backoff(role, failures, None, 0.0), TimeDelta::seconds(secs));
        assert_eq!(
            backoff(role, failures, None, 1.0),
            TimeDelta::seconds(secs) / 2
        );
    }

    #[rstest]
    #[case::clamped_up(0, 30)]
    #[case::taken(50, 50)]
    #[case::clamped_down(1_000_000, 86_400)]
    #[case::absurd(u64::MAX, 86_400)]
    fn waits_as_long_as_it_was_asked(#[case] asked_secs: u64, #[case] secs: i64) {
        let wait = Some(Duration::from_secs(asked_secs));
        assert_eq!(
            backoff(Role::Provider, 1, wait, 1.0),
            TimeDelta::seconds(secs)
        );
    }
}
