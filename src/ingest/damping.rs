//! Damping: a model that goes back and forth between fetches gets one event an hour, not one a fetch.
//!
//! Some servers compute a field anew at each request, or stand behind a balancer whose members
//! disagree. Asked every 30 seconds, each such model would make 2,880 events a day, which say nothing.
//! A change that is put off is not lost: the stored row stays as it was when its last event was made,
//! so the next fetch finds the same difference again, and after an hour it counts.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::diff::Change;
use crate::model::{
    attributes::Attributes, event::EventKind, listing::excerpt, state::Damped, time::Timestamp,
};

/// How long a change of a restless model waits after the last one.
const WAIT: TimeDelta = TimeDelta::hours(1);
/// How far back events say whether a model is restless.
const MEMORY: TimeDelta = TimeDelta::hours(24);
/// More changes than these within [`MEMORY`] are no news either, whatever the values are.
const MOST_CHANGES: usize = 24;
/// The most ids of damped models that are kept.
const MAX_EXAMPLES: usize = 5;
/// Events of one model that are looked at: all of a day, with [`MOST_CHANGES`] at once and one an hour.
pub const EVENTS_READ: i64 = 64;

/// What an earlier event made of a model.
#[derive(Clone, Debug, Deserialize)]
pub struct Earlier {
    /// When it happened.
    pub at: Timestamp,
    /// The attributes from then on.
    pub attributes: Attributes,
}

/// The ids of the models among `changes` whose earlier events decide whether their change waits.
pub fn list_changed(changes: &[Change]) -> Vec<&str> {
    let changed = changes
        .iter()
        .filter(|change| change.event == Some(EventKind::Changed));
    changed.map(|change| change.model_id.as_str()).collect()
}

/// Takes out of `changes` those that wait at `now`, given the `earlier` events of each changed model,
/// the oldest first. Returns which they were; none when nothing waits.
pub fn damp(
    changes: &mut Vec<Change>,
    earlier: &BTreeMap<String, Vec<Earlier>>,
    now: Timestamp,
) -> Option<Damped> {
    let mut damped: Option<Damped> = None;
    changes.retain(|change| {
        let earlier = earlier.get(&change.model_id).map(Vec::as_slice);
        let Some(until) = waits_until(change, earlier.unwrap_or_default(), now) else {
            return true;
        };
        let damped = damped.get_or_insert(Damped {
            count: 0,
            examples: Vec::new(),
            until,
        });
        damped.count += 1;
        damped.until = damped.until.max(until);
        if damped.examples.len() < MAX_EXAMPLES {
            damped.examples.push(excerpt(&change.model_id));
        }
        false
    });
    damped
}

/// Until when `change` waits; none when it counts now.
fn waits_until(change: &Change, earlier: &[Earlier], now: Timestamp) -> Option<Timestamp> {
    let (served, last) = (change.served()?, earlier.last()?);
    if change.event != Some(EventKind::Changed) {
        return None;
    }
    let until = last.at.plus(WAIT);
    let from = now.plus(-MEMORY);
    let lately = earlier.iter().filter(|event| event.at >= from).count();
    let is_restless =
        lately > MOST_CHANGES || goes_back_and_forth(served, &change.changed, earlier, from);
    (is_restless && now < until).then_some(until)
}

/// Whether each of the `changed` fields of `new` has a value that it had before, and one of the
/// `earlier` events since `from` brought such a value back already.
fn goes_back_and_forth(
    new: &Attributes,
    changed: &[String],
    earlier: &[Earlier],
    from: Timestamp,
) -> bool {
    let values: Vec<Map<String, Value>> = earlier
        .iter()
        .map(|event| event.attributes.fields())
        .collect();
    let had = |field: &str, value: Option<&Value>, before: usize| {
        values
            .iter()
            .take(before)
            .any(|fields| fields.get(field) == value)
    };
    let new = new.fields();
    let returns = changed
        .iter()
        .all(|field| had(field, new.get(field), values.len()));
    let returned_before = |(number, pair): (usize, &[Map<String, Value>])| {
        let [before, after] = pair else { return false };
        let is_recent = earlier
            .get(number + 1)
            .is_some_and(|event| event.at >= from);
        let mut fields = before.keys().chain(after.keys());
        is_recent
            && fields.any(|field| {
                let value = after.get(field);
                before.get(field) != value && had(field, value, number)
            })
    };
    returns && values.windows(2).enumerate().any(returned_before)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        ingest::diff::{Stored, diff},
        model::listing::Entry,
    };

    /// One model that is fetched again and again, and all that was made of it.
    struct Model {
        events: Vec<Earlier>,
        now: Timestamp,
    }

    type Said = (Option<i64>, Option<i64>);

    fn attributes((context_window, max_output_tokens): Said) -> Attributes {
        Attributes {
            context_window,
            max_output_tokens,
            ..Attributes::default()
        }
    }

    impl Model {
        fn new(said: Said) -> Self {
            let now = Timestamp::from_millis(0);
            Self {
                events: vec![Earlier {
                    at: now,
                    attributes: attributes(said),
                }],
                now,
            }
        }

        fn stored(&self) -> &Attributes {
            &self.events.last().expect("an event").attributes
        }

        /// The next fetch, after `seconds`; what it damped.
        fn fetch(&mut self, seconds: i64, said: Said) -> Option<Damped> {
            self.now = self.now.plus(TimeDelta::seconds(seconds));
            let stored = Stored {
                attributes: self.stored().clone(),
                hidden_by: None,
            };
            let entry = Entry {
                id: "m".to_owned(),
                attributes: attributes(said),
                raw: "{}".to_owned(),
                hidden_by: None,
            };
            let mut changes = diff(&[("m".to_owned(), stored)].into(), vec![entry]);
            let read = usize::try_from(EVENTS_READ).expect("few");
            let from = self.events.len().saturating_sub(read);
            let earlier = self.events[from..].to_vec();
            let damped = damp(&mut changes, &[("m".to_owned(), earlier)].into(), self.now);
            if let Some(served) = changes.first().and_then(Change::served) {
                self.events.push(Earlier {
                    at: self.now,
                    attributes: served.clone(),
                });
            }
            damped
        }
    }

    #[test]
    fn a_field_that_flaps_at_every_fetch_makes_one_event_an_hour() {
        let mut model = Model::new((Some(0), None));
        for fetch in 1..=24 * 120 {
            model.fetch(30, (Some(fetch % 2), None));
        }
        // Added, changed, back, and from then on hourly.
        assert!(
            (24..=26).contains(&model.events.len()),
            "{}",
            model.events.len()
        );
        assert_eq!(model.events[2].at, Timestamp::from_millis(60_000));
        assert_eq!(
            model.events[3].at,
            Timestamp::from_millis(3_660_000 + 30_000)
        );
    }

    #[test]
    fn what_is_put_off_is_named_with_its_time() {
        let mut model = Model::new((Some(0), None));
        assert_eq!(model.fetch(30, (Some(1), None)), None);
        assert_eq!(
            model.fetch(30, (Some(0), None)),
            None,
            "the first return is news"
        );
        let damped = model
            .fetch(30, (Some(1), None))
            .expect("the second one waits");
        assert_eq!((damped.count, damped.examples), (1, vec!["m".to_owned()]));
        assert_eq!(damped.until, Timestamp::from_millis(3_660_000));
        assert_eq!(model.fetch(3_570, (Some(1), None)), None);
        assert_eq!(model.stored().context_window, Some(1), "then it counts");
    }

    #[test]
    fn a_new_value_is_news_until_there_are_too_many() {
        let mut model = Model::new((Some(0), None));
        for fetch in 1..=24 {
            assert_eq!(model.fetch(30, (Some(fetch), None)), None, "{fetch}");
        }
        assert!(model.fetch(30, (Some(25), None)).is_some());
        for fetch in 26..=10 * 24 * 120 {
            model.fetch(30, (Some(fetch), None));
        }
        // Instead of 2,880 a day.
        assert!(model.events.len() <= 30 * 10, "{}", model.events.len());
    }

    #[test]
    fn a_field_that_flaps_does_not_hold_back_the_news_of_another() {
        let mut model = Model::new((Some(0), None));
        for fetch in 1..=10 {
            model.fetch(30, (Some(fetch % 2), None));
        }
        assert_eq!(model.fetch(30, (Some(1), Some(7))), None);
        assert_eq!(model.stored().max_output_tokens, Some(7));
    }

    proptest! {
        #[test]
        fn whatever_is_said_returns_are_rare_and_what_stays_counts(
            fetches in vec((1..4_000_i64, prop::option::of(0..3_i64), prop::option::of(0..2_i64)), 1..200)
        ) {
            let mut model = Model::new((Some(0), None));
            for (seconds, context_window, max_output_tokens) in fetches {
                model.fetch(seconds, (context_window, max_output_tokens));
            }
            // An event whose fields all had their values within a day is a return.
            let mut returns: Vec<Timestamp> = Vec::new();
            for (number, pair) in model.events.windows(2).enumerate() {
                let earlier = &model.events[..=number];
                let had = |value: &dyn Fn(&Attributes) -> Option<i64>| {
                    let mut lately = earlier.iter().filter(|event| event.at >= pair[1].at.plus(-MEMORY));
                    lately.any(|event| value(&event.attributes) == value(&pair[1].attributes))
                };
                if had(&|it| it.context_window) && had(&|it| it.max_output_tokens) {
                    returns.push(pair[1].at);
                }
            }
            for pair in returns.windows(2) {
                prop_assert!(pair[1].since(pair[0]) >= WAIT, "{returns:?}");
            }
            // What is said for more than an hour is served.
            for _ in 0..130 {
                model.fetch(30, (Some(9), Some(9)));
            }
            prop_assert_eq!(model.stored(), &attributes((Some(9), Some(9))));
        }
    }
}
