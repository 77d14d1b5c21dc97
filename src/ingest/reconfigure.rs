//! What other settings change in the stored state of a source. Whatever was learnt under the old
//! settings counts only as long as it is about the same thing.

use super::{
    guard,
    schedule::{self, REFUSED_REST},
};
use crate::model::{
    fetch::ErrorKind,
    settings::SourceSettings,
    source::{HiddenReason, Kind},
    state::{LastError, Polling, SourceState},
    time::Timestamp,
};

/// A source under new settings.
#[derive(Clone, Debug)]
pub struct Reconfigured {
    /// Its new state.
    pub source: SourceState,
    /// Whether it is another server or list API: nothing that was learnt of it counts any more, and a
    /// fetch that is under way is superseded.
    pub is_another: bool,
    /// Whether its models are served again.
    pub is_shown: bool,
}

/// `stored` under the settings `new`, which are applied at `now`.
///
/// Another address or kind is asked at once, and starts without errors, waits and held listings. (Its
/// old models stay until it answers.) Otherwise the TTL counts from the last success, a refused key is
/// tried again if it rested, and a source that was stale for too long is shown again if `max_stale`
/// now allows it.
pub fn reconfigure(stored: &SourceState, new: &SourceSettings, now: Timestamp) -> Reconfigured {
    let differs = |known: Option<bool>| known == Some(true);
    let is_another = differs(stored.address.as_ref().map(|known| *known != new.address))
        || differs(stored.configured_kind.map(|known| known != new.kind));
    let mut source = SourceState {
        configured: true,
        address: Some(new.address.clone()),
        configured_kind: Some(new.kind),
        ..stored.clone()
    };
    source.polling.ttl_secs = new.ttl.num_seconds();
    if is_another {
        source.claim += 1;
        source.kind = new.kind;
        source.refusals = 0;
        source.refused_since = None;
        source.held = None;
        source.skipped = None;
        source.damped = None;
        source.ending = None;
        source.server_version = None;
        // It was the old one that has ended.
        let is_shown = stored.is_gone();
        if is_shown {
            source.hidden = None;
        }
        source.polling = Polling {
            ttl_secs: source.polling.ttl_secs,
            fetched_at: source.polling.fetched_at,
            next_attempt_at: Some(now),
            ..Polling::default()
        };
        return Reconfigured {
            source,
            is_another,
            is_shown,
        };
    }
    if stored.configured_kind.is_none() && new.kind != Kind::Auto {
        source.kind = new.kind;
    }
    let fetched_at = source.polling.fetched_at;
    let unreachable_from =
        fetched_at.and_then(|at| guard::unreachable_from(at, new.ttl, new.max_stale));
    let is_unreachable = |reason| reason == HiddenReason::Unreachable;
    let hidden = stored.hidden.as_ref().map(|hidden| hidden.reason);
    let is_shown = hidden.is_some_and(is_unreachable) && unreachable_from.is_none_or(|at| at > now);
    if is_shown {
        source.hidden = None;
    }
    if let Some(next) = next_attempt(stored, new, unreachable_from, now) {
        source.polling.next_attempt_at = Some(next);
    }
    Reconfigured {
        source,
        is_another,
        is_shown,
    }
}

/// The next attempt under the settings `new`; none when the schedule stays.
fn next_attempt(
    stored: &SourceState,
    new: &SourceSettings,
    unreachable_from: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let polling = &stored.polling;
    if schedule::is_claimed(polling, now) {
        return None;
    }
    let is_unauthorized = |error: &LastError| error.kind == ErrorKind::Unauthorized;
    if polling.error.as_ref().is_some_and(is_unauthorized) {
        // The operator may have replaced the key.
        let rested = polling
            .attempted_at
            .is_none_or(|at| at > now || now.since(at) > REFUSED_REST);
        return rested.then_some(now);
    }
    if polling.consecutive_failures > 0 {
        // Only an attempt can hide it.
        let unreachable_from = unreachable_from.filter(|_| stored.hidden.is_none())?;
        return Some(polling.next_attempt_at?.min(unreachable_from.max(now)));
    }
    if stored.moved || stored.held.is_some() {
        return None;
    }
    schedule::after_last_success(polling, new.ttl)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rstest::rstest;

    use super::*;
    use crate::model::{
        fetch::EndSign,
        listing::Skipped,
        settings::Rules,
        source::Role,
        state::{Ending, Held, Hidden},
    };

    const NOW_MS: i64 = 1_800_000_000_000;

    fn at(offset_secs: i64) -> Timestamp {
        Timestamp::from_millis(NOW_MS + offset_secs * 1000)
    }

    fn settings(ttl_secs: i64, max_stale_secs: Option<i64>) -> SourceSettings {
        SourceSettings {
            name: "acme".parse().expect("a name"),
            role: Role::Endpoint,
            kind: Kind::Auto,
            ttl: TimeDelta::seconds(ttl_secs),
            max_stale: max_stale_secs.map(TimeDelta::seconds),
            address: "here".to_owned(),
            rules: Rules::default(),
        }
    }

    /// An endpoint that answered 100 s ago.
    fn healthy() -> SourceState {
        SourceState {
            kind: Kind::Ollama,
            configured_kind: Some(Kind::Auto),
            polling: Polling {
                ttl_secs: 1000,
                fetched_at: Some(at(-100)),
                attempted_at: Some(at(-101)),
                next_attempt_at: Some(at(840)),
                ..Polling::default()
            },
            ..SourceState::sample("acme", Role::Endpoint)
        }
    }

    fn failing(kind: ErrorKind, attempted_secs: i64) -> SourceState {
        let mut source = healthy();
        source.polling.attempted_at = Some(at(attempted_secs));
        source.polling.consecutive_failures = 3;
        source.polling.error = Some(LastError {
            kind,
            message: String::new(),
            since: at(-50),
        });
        source
    }

    /// What has ended is the old address.
    #[test]
    fn a_source_that_is_gone_starts_anew_at_another_address_only() {
        let stored = SourceState {
            ending: Some(Ending {
                sign: EndSign::Gone,
                since: at(-90),
            }),
            hidden: Some(Hidden {
                since: at(-80),
                reason: HiddenReason::Gone,
            }),
            server_version: Some("1".to_owned()),
            ..failing(ErrorKind::Rejected, -80)
        };
        for (address, is_shown) in [("here", false), ("there", true)] {
            let new = SourceSettings {
                address: address.to_owned(),
                ..settings(60, None)
            };
            let changed = reconfigure(&stored, &new, at(0));
            assert_eq!(changed.is_shown, is_shown);
            let SourceState {
                hidden,
                ending,
                server_version,
                polling,
                ..
            } = changed.source;
            assert_eq!(hidden.is_none(), is_shown);
            assert_eq!(ending.is_none(), is_shown);
            assert_eq!(server_version.is_none(), is_shown);
            assert_eq!(polling.next_attempt_at == Some(at(0)), is_shown);
        }
    }

    #[test]
    fn another_address_or_kind_starts_anew_and_keeps_only_the_last_success() {
        let stored = SourceState {
            claim: 7,
            refusals: 2,
            refused_since: Some(at(-40)),
            held: Some(Held {
                since: at(-30),
                models: Some(1),
                missing: None,
            }),
            skipped: Some(Skipped::default()),
            ..failing(ErrorKind::Unauthorized, -10)
        };
        let other_address = SourceSettings {
            address: "there".to_owned(),
            ..settings(60, None)
        };
        let other_kind = SourceSettings {
            kind: Kind::OpenAi,
            ..settings(60, None)
        };
        for new in [other_address, other_kind] {
            let changed = reconfigure(&stored, &new, at(0));
            assert!(changed.is_another && !changed.is_shown);
            let expected = SourceState {
                address: Some(new.address),
                configured_kind: Some(new.kind),
                kind: new.kind,
                claim: 8,
                polling: Polling {
                    ttl_secs: 60,
                    fetched_at: Some(at(-100)),
                    next_attempt_at: Some(at(0)),
                    ..Polling::default()
                },
                ..SourceState::sample("acme", Role::Endpoint)
            };
            assert_eq!(changed.source, expected);
        }
    }

    #[test]
    fn the_same_settings_change_nothing() {
        for stored in [healthy(), failing(ErrorKind::Timeout, -1)] {
            let same = reconfigure(&stored, &settings(1000, None), at(0));
            assert!(!same.is_another && !same.is_shown);
            assert_eq!(same.source, stored);
        }
        // A row of an older version.
        let mut old = healthy();
        (old.address, old.configured_kind) = (None, None);
        let same = reconfigure(&old, &settings(1000, None), at(0));
        assert_eq!((same.is_another, same.source), (false, healthy()));
    }

    #[rstest]
    #[case::shorter(60, -50)]
    #[case::longer(2000, 1840)]
    fn another_ttl_counts_from_the_last_success(#[case] ttl_secs: i64, #[case] next_secs: i64) {
        let next = |source: &SourceState| {
            let changed = reconfigure(source, &settings(ttl_secs, None), at(0));
            assert_eq!(changed.source.polling.ttl_secs, ttl_secs);
            changed.source.polling.next_attempt_at
        };
        assert_eq!(next(&healthy()), Some(at(next_secs)));
        let held = SourceState {
            held: Some(Held {
                since: at(-1),
                models: Some(0),
                missing: None,
            }),
            ..healthy()
        };
        let moved = SourceState {
            moved: true,
            ..healthy()
        };
        let mut claimed = healthy();
        claimed.polling.attempted_at = Some(at(-3));
        claimed.polling.claimed_until = Some(at(27));
        for waiting in [held, moved, claimed, failing(ErrorKind::Timeout, -1)] {
            assert_eq!(next(&waiting), Some(at(840)), "{waiting:?}");
        }
    }

    #[rstest]
    #[case::refused(ErrorKind::Unauthorized, -31, 0)]
    #[case::just_refused(ErrorKind::Unauthorized, -30, 840)]
    #[case::failed(ErrorKind::Timeout, -31, 840)]
    fn a_refused_key_is_tried_again_for_it_may_be_another(
        #[case] kind: ErrorKind,
        #[case] attempted_secs: i64,
        #[case] next_secs: i64,
    ) {
        let stored = failing(kind, attempted_secs);
        let changed = reconfigure(&stored, &settings(1000, None), at(0));
        assert_eq!(changed.source.polling.next_attempt_at, Some(at(next_secs)));
    }

    #[rstest]
    #[case::as_before(Some(5), false)]
    #[case::longer(Some(50), true)]
    #[case::for_ever(None, true)]
    fn a_source_that_was_stale_for_too_long_is_shown_when_that_is_not_too_long(
        #[case] max_stale_secs: Option<i64>,
        #[case] is_shown: bool,
    ) {
        let hidden = |reason| SourceState {
            hidden: Some(Hidden {
                since: at(-9),
                reason,
            }),
            ..failing(ErrorKind::Timeout, -1)
        };
        let shown = |reason| {
            let changed = reconfigure(&hidden(reason), &settings(90, max_stale_secs), at(0));
            assert_eq!(changed.is_shown, changed.source.hidden.is_none());
            changed.is_shown
        };
        assert_eq!(shown(HiddenReason::Unreachable), is_shown);
        assert!(!shown(HiddenReason::Refused), "its key is still refused");
    }

    #[rstest]
    #[case::passed(Some(5), 0)]
    #[case::to_come(Some(50), 40)]
    #[case::never(None, 840)]
    fn a_shorter_max_stale_is_looked_at_when_it_runs_out(
        #[case] max_stale_secs: Option<i64>,
        #[case] next_secs: i64,
    ) {
        let stored = failing(ErrorKind::RateLimited, -1);
        let changed = reconfigure(&stored, &settings(90, max_stale_secs), at(0));
        assert_eq!(changed.source.polling.next_attempt_at, Some(at(next_secs)));
    }
}
