//! The guard, hide and derivation rules as tables, without a database.

use rstest::rstest;

use super::*;
use crate::model::{
    attributes::Attributes,
    fetch::EndSign,
    source::Role,
    state::{Ending, Polling},
};

const NOW_MS: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600;

fn at(offset_secs: i64) -> Timestamp {
    Timestamp::from_millis(NOW_MS + offset_secs * 1000)
}

/// A source that was last listed an hour ago and is being attempted now.
fn source(role: Role) -> SourceState {
    SourceState {
        polling: Polling {
            ttl_secs: 60,
            fetched_at: Some(at(-HOUR)),
            attempted_at: Some(at(-1)),
            next_attempt_at: Some(at(29)),
            ..Polling::default()
        },
        ..SourceState::sample("acme", role)
    }
}

fn entry(id: &str) -> Entry {
    Entry {
        id: id.to_owned(),
        attributes: Attributes::default(),
        raw: "{}".to_owned(),
        hidden_by: None,
    }
}

fn entries(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|number| entry(&format!("m{number}")))
        .collect()
}

/// `source` with `count` models.
fn with_models(source: SourceState, count: usize) -> Before {
    let model = |entry: Entry| {
        let stored = Stored {
            attributes: entry.attributes,
            hidden_by: None,
        };
        (entry.id, stored)
    };
    Before {
        source,
        models: entries(count).into_iter().map(model).collect(),
    }
}

fn listed(before: &Before, count: usize, accept: bool) -> Plan {
    let derivation = Derivation::default();
    plan_listing(
        before,
        Kind::OpenAi,
        Listing {
            entries: entries(count),
            ..Listing::default()
        },
        &derivation,
        accept,
        at(0),
    )
}

fn held(since_secs: i64) -> Option<Held> {
    Some(Held {
        since: at(since_secs),
        models: Some(1),
        missing: None,
    })
}

#[rstest]
#[case::first_suspicion(Role::Provider, None, false, false, Some(0))]
#[case::asked_again_at_once(Role::Provider, held(-599), false, false, Some(-599))]
#[case::confirmed_after_ten_minutes(Role::Provider, held(-600), false, false, None)]
#[case::held_by_a_clock_ahead(Role::Provider, held(60), false, false, Some(0))]
#[case::accepted(Role::Provider, None, false, true, None)]
#[case::from_another_address(Role::Provider, None, true, false, None)]
fn a_suspicious_listing_is_held(
    #[case] role: Role,
    #[case] held: Option<Held>,
    #[case] moved: bool,
    #[case] accept: bool,
    #[case] held_since: Option<i64>,
) {
    let before = with_models(
        SourceState {
            held,
            moved,
            refusals: 2,
            ..source(role)
        },
        5,
    );
    let plan = listed(&before, 2, accept);
    let since = plan.source.held.as_ref().map(|held| held.since);
    assert_eq!(since, held_since.map(at));
    assert_eq!(plan.source.refusals, 0, "it did answer");
    if let Some(since) = since {
        assert_eq!(
            plan.outcome(),
            Committed::Held {
                listed: 2,
                stored: 5
            }
        );
        assert!(plan.changes.is_empty() && !plan.makes_revision());
        let missing = plan.source.held.and_then(|held| held.missing);
        let missing = missing.expect("what it lacks");
        assert_eq!((missing.count, missing.examples.len()), (3, 3));
        let polling = plan.source.polling;
        assert_eq!(
            polling.next_attempt_at,
            Some(since.plus(guard::held_retry(role)))
        );
        assert_eq!(polling.fetched_at, before.source.polling.fetched_at);
    } else {
        assert_eq!(plan.counts().removed, 3);
        assert!(plan.makes_revision() && !plan.source.moved);
        assert_eq!(plan.source.polling.fetched_at, Some(at(0)));
        assert_eq!(plan.source.polling.next_attempt_at, Some(at(50)));
    }
}

#[rstest]
#[case::nothing_at_once(None, 0, Some(0))]
#[case::nothing_again_too_soon(held(-29), 0, Some(-29))]
#[case::nothing_again(held(-30), 0, None)]
#[case::fewer(None, 1, None)]
fn an_endpoint_that_suddenly_lists_nothing_keeps_its_models_for_30_s(
    #[case] held: Option<Held>,
    #[case] count: usize,
    #[case] held_since: Option<i64>,
) {
    let before = with_models(
        SourceState {
            held,
            ..source(Role::Endpoint)
        },
        5,
    );
    let plan = listed(&before, count, false);
    let since = plan.source.held.as_ref().map(|held| held.since);
    assert_eq!(since, held_since.map(at));
    let next = plan.source.polling.next_attempt_at;
    assert_eq!(next, Some(at(held_since.unwrap_or(20) + 30)));
    assert_eq!(
        plan.counts().removed,
        if since.is_some() { 0 } else { 5 - count as i64 }
    );
}

#[test]
fn an_unchanged_listing_makes_no_revision_and_shows_a_hidden_source() {
    let plan = listed(&with_models(source(Role::Provider), 5), 5, false);
    assert_eq!(plan.outcome(), Committed::Unchanged);
    let hidden = SourceState {
        hidden: Some(Hidden {
            since: at(-9),
            reason: HiddenReason::Refused,
        }),
        ..source(Role::Provider)
    };
    let plan = listed(&with_models(hidden, 5), 5, false);
    assert_eq!(plan.source_event, Some(SourceEvent::Shown));
    assert_eq!(plan.source.hidden, None);
    assert_eq!(plan.outcome(), Committed::Changed(Counts::default()));
}

#[test]
fn models_that_were_listed_before_return() {
    let mut plan = listed(&with_models(source(Role::Endpoint), 0), 2, false);
    assert_eq!(list_unseen(&plan.changes), ["m0", "m1"]);
    let first = FirstEvent {
        at: "then".to_owned(),
        created: vec![(Some("m0".to_owned()), 5), (None, 7), (None, 9)],
    };
    mark_seen(&mut plan.changes, &[("m1".to_owned(), first)].into());
    let counts = plan.counts();
    assert_eq!((counts.added, counts.returned), (1, 1));
    let back = &plan.changes[1];
    assert_eq!(back.first_seen_at.as_deref(), Some("then"));
    assert_eq!(back.served().map(|attributes| attributes.created), Some(7));
}

#[test]
fn enrichment_comes_before_rules_so_that_aliases_have_it_too() {
    let known = Attributes {
        context_window: Some(9),
        ..Attributes::default()
    };
    let derivation = Derivation {
        rules: Rules {
            aliases: [("short".to_owned(), "m0".to_owned())].into(),
            ..Rules::default()
        },
        enrichment: Some(Enrichment {
            name: "elsewhere".to_owned(),
            models: [("m0".to_owned(), known)].into(),
        }),
    };
    let changes = plan_models(&BTreeMap::new(), entries(1), &derivation);
    let served: Vec<_> = changes
        .iter()
        .filter_map(|change| Some((change.model_id.as_str(), change.served()?.context_window)))
        .collect();
    assert_eq!(served, [("m0", Some(9)), ("short", Some(9))]);
}

fn failure(kind: ErrorKind) -> FetchError {
    FetchError::new(kind, "on purpose")
}

#[test]
fn a_failure_changes_no_model_and_backs_off() {
    let plan = plan_failure(
        &source(Role::Provider),
        None,
        &failure(ErrorKind::Timeout),
        0.0,
        at(0),
    );
    assert_eq!(
        plan.outcome(),
        Committed::Failed(failure(ErrorKind::Timeout))
    );
    assert!(!plan.makes_revision());
    assert_eq!(plan.source.polling.next_attempt_at, Some(at(30)));
    assert_eq!(plan.source.polling.consecutive_failures, 1);
    let error = plan.source.polling.error.expect("an error");
    assert_eq!(error.since, at(-1), "when the attempt began");
}

/// The listing is an hour old and was fresh for a minute.
#[rstest]
#[case::served_for_ever(None, false, 30)]
#[case::stale_for_too_long(Some(HOUR - 60), true, 30)]
#[case::not_quite(Some(HOUR - 59), false, 1)]
fn a_source_that_is_stale_for_too_long_is_hidden(
    #[case] max_stale_secs: Option<i64>,
    #[case] is_hidden: bool,
    #[case] next_secs: i64,
) {
    let max_stale = max_stale_secs.map(TimeDelta::seconds);
    let error = failure(ErrorKind::Unreachable);
    let plan = plan_failure(&source(Role::Endpoint), max_stale, &error, 0.0, at(0));
    let reason = plan.source.hidden.as_ref().map(|hidden| hidden.reason);
    assert_eq!(reason, is_hidden.then_some(HiddenReason::Unreachable));
    assert_eq!(
        plan.source_event,
        is_hidden.then_some(SourceEvent::Hidden(HiddenReason::Unreachable)),
        "in a revision of its own"
    );
    assert_eq!(plan.makes_revision(), is_hidden);
    assert_eq!(plan.source.polling.next_attempt_at, Some(at(next_secs)));
}

#[rstest]
#[case::first(0, None, ErrorKind::Unauthorized, false)]
#[case::third_within_a_day(2, Some(-23 * HOUR), ErrorKind::Unauthorized, false)]
#[case::second_over_a_day(1, Some(-24 * HOUR), ErrorKind::Unauthorized, false)]
#[case::third_over_a_day(2, Some(-24 * HOUR), ErrorKind::Unauthorized, true)]
#[case::another_failure_after_three(3, Some(-24 * HOUR), ErrorKind::Timeout, true)]
#[case::another_failure_after_two(2, Some(-24 * HOUR), ErrorKind::Timeout, false)]
fn a_source_whose_key_is_refused_for_a_day_is_hidden(
    #[case] refusals: i64,
    #[case] since_secs: Option<i64>,
    #[case] kind: ErrorKind,
    #[case] is_hidden: bool,
) {
    let source = SourceState {
        refusals,
        refused_since: since_secs.map(at),
        ..source(Role::Provider)
    };
    let plan = plan_failure(&source, None, &failure(kind), 0.0, at(0));
    let reason = plan.source.hidden.map(|hidden| hidden.reason);
    assert_eq!(reason, is_hidden.then_some(HiddenReason::Refused));
    let since = since_secs.or((kind == ErrorKind::Unauthorized).then_some(0));
    assert_eq!(plan.source.refused_since, since.map(at));
}

#[test]
fn a_source_without_a_listing_or_hidden_already_is_not_hidden_again() {
    let error = failure(ErrorKind::Timeout);
    let mut never_listed = source(Role::Endpoint);
    never_listed.polling.fetched_at = None;
    let plan = plan_failure(&never_listed, Some(TimeDelta::zero()), &error, 0.0, at(0));
    assert_eq!((plan.source_event, plan.source.hidden), (None, None));
    let hidden = SourceState {
        hidden: Some(Hidden {
            since: at(-9),
            reason: HiddenReason::Refused,
        }),
        ..source(Role::Endpoint)
    };
    let plan = plan_failure(&hidden, Some(TimeDelta::zero()), &error, 0.0, at(0));
    assert_eq!(plan.source_event, None);
    assert_eq!(plan.source.hidden, hidden.hidden, "since when and why stay");
}

fn gone() -> FetchError {
    FetchError {
        http_status: Some(410),
        ..failure(ErrorKind::Rejected)
    }
}

fn ending(since_secs: i64) -> Option<Ending> {
    Some(Ending {
        sign: EndSign::Gone,
        since: at(since_secs),
    })
}

const DAY: i64 = 24 * HOUR;

/// The source has answered 410 since then, and answers it again.
#[rstest]
#[case::first(Role::Provider, None, None, None, 30)]
#[case::too_soon(Role::Provider, ending(-599), None, None, 30)]
#[case::confirmed(Role::Provider, ending(-600), None, Some(0), DAY)]
#[case::hidden_already(Role::Provider, ending(-600), Some(HiddenReason::Refused), Some(-9), DAY)]
#[case::an_endpoint(Role::Endpoint, ending(-600), None, None, 30)]
fn a_provider_that_answers_410_is_gone(
    #[case] role: Role,
    #[case] ending: Option<Ending>,
    #[case] hidden: Option<HiddenReason>,
    #[case] gone_since: Option<i64>,
    #[case] next_secs: i64,
) {
    let reason = |reason| Hidden {
        since: at(-9),
        reason,
    };
    for fetched_at in [None, Some(at(-HOUR))] {
        let mut source = SourceState {
            ending: ending.clone(),
            hidden: hidden.map(reason),
            ..source(role)
        };
        source.polling.fetched_at = fetched_at;
        let plan = plan_failure(&source, None, &gone(), 0.0, at(0));
        let event = SourceEvent::Hidden(HiddenReason::Gone);
        assert_eq!(plan.source_event, gone_since.map(|_| event));
        assert_eq!(plan.source.is_gone(), gone_since.is_some());
        if let Some(since) = gone_since {
            assert_eq!(plan.source.hidden_since(), Some(at(since)));
            assert!(!plan.source.is_missing(), "no list is expected of it");
        }
        assert_eq!(plan.source.polling.next_attempt_at, Some(at(next_secs)));
    }
}

#[test]
fn a_source_that_is_gone_says_so_once_and_returns_with_its_list() {
    let mut source = SourceState {
        ending: ending(-DAY),
        hidden: Some(Hidden {
            since: at(-DAY),
            reason: HiddenReason::Gone,
        }),
        ..source(Role::Provider)
    };
    // Whatever it answers but a list, nothing is said again, not even when `max_stale` runs out.
    for error in [
        gone(),
        failure(ErrorKind::Timeout),
        failure(ErrorKind::Unauthorized),
    ] {
        for max_stale in [
            None,
            Some(TimeDelta::seconds(HOUR - 60)),
            Some(TimeDelta::seconds(HOUR)),
        ] {
            let plan = plan_failure(&source, max_stale, &error, 1.0, at(0));
            assert_eq!((plan.source_event, plan.source.is_gone()), (None, true));
            assert_eq!(plan.source.polling.next_attempt_at, Some(at(DAY)));
            assert!(!plan.makes_revision());
        }
    }
    source.polling.consecutive_failures = 99;
    let plan = listed(&with_models(source.clone(), 2), 2, false);
    assert_eq!(plan.source_event, Some(SourceEvent::Shown));
    assert_eq!((plan.source.hidden, plan.source.ending), (None, None));
    let usual = listed(&with_models(self::source(Role::Provider), 2), 2, false);
    assert_eq!(
        plan.source.polling, usual.source.polling,
        "it is asked as any other"
    );
    // A suspicious list is held as usual, and shown when it is confirmed.
    let plan = listed(&with_models(source, 5), 1, false);
    assert!(plan.source_event.is_none() && plan.source.held.is_some() && plan.source.is_gone());
    assert_eq!(plan.source.polling.next_attempt_at, Some(at(600)));
}
