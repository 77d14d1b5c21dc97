//! When a request for an unknown model may have its provider asked: one look at a time, then not
//! again for a minute, doubling to an hour while looks find nothing. Pure but for the channel that
//! tells waiters of a look's end.

use chrono::TimeDelta;
use tokio::{sync::watch, time::Instant};

use super::tasks::refresh::RefreshOutcome;
use crate::model::time::Timestamp;

/// The shortest time after which a miss may look again.
const GAP_MIN: TimeDelta = TimeDelta::minutes(1);
/// The longest.
const GAP_MAX: TimeDelta = TimeDelta::hours(1);

/// The looks at one provider.
#[derive(Debug, Default)]
pub struct Misses {
    /// When the last look ended.
    ended_at: Option<Timestamp>,
    /// How many looks in a row have found nothing.
    found_nothing: u32,
    under_way: Option<Look>,
}

/// One look, which any number of requests may wait for.
#[derive(Clone, Debug)]
pub struct Look {
    /// True once it has ended.
    pub ended: watch::Receiver<bool>,
    /// When it began.
    pub began: Instant,
}

impl Misses {
    /// The look under way.
    pub fn under_way(&self) -> Option<Look> {
        self.under_way.clone()
    }

    /// Whether a look may begin at `now`.
    pub fn may_look(&self, now: Timestamp) -> bool {
        // A look that ended in the future was timed by a clock that was set back.
        self.ended_at
            .is_none_or(|ended| now < ended || now.since(ended) >= self.gap())
    }

    /// How long after a look none is made.
    fn gap(&self) -> TimeDelta {
        let doublings = self.found_nothing.clamp(1, 20) - 1;
        (GAP_MIN * (1 << doublings)).min(GAP_MAX)
    }

    /// Begins a look; the sender tells its end, after [`Misses::end`].
    pub fn begin(&mut self) -> (Look, watch::Sender<bool>) {
        let (end, ended) = watch::channel(false);
        let look = Look {
            ended,
            began: Instant::now(),
        };
        self.under_way = Some(look.clone());
        (look, end)
    }

    /// Ends the look with what it came to.
    pub fn end(&mut self, outcome: &RefreshOutcome, now: Timestamp) {
        self.under_way = None;
        self.found_nothing = match outcome {
            // It was not asked: that was no look.
            RefreshOutcome::NotDue | RefreshOutcome::Stopped => return,
            RefreshOutcome::Changed(counts) if counts.added + counts.returned > 0 => 0,
            _ => self.found_nothing.saturating_add(1),
        };
        self.ended_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::diff::Counts;

    #[test]
    fn doubles_while_nothing_is_found() {
        let mut misses = Misses::default();
        let mut now = Timestamp::from_millis(1_800_000_000_000);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(misses.may_look(now));
            let _ = misses.begin();
            assert!(misses.under_way().is_some());
            misses.end(&RefreshOutcome::Unchanged, now);
            assert!(misses.under_way().is_none());
            assert!(
                !misses
                    .may_look(now.plus(TimeDelta::minutes(minutes) - TimeDelta::milliseconds(1)))
            );
            now = now.plus(TimeDelta::minutes(minutes));
        }
        let found = Counts {
            added: 1,
            ..Counts::default()
        };
        let _ = misses.begin();
        misses.end(&RefreshOutcome::NotDue, now);
        assert!(misses.may_look(now), "that was no look");
        misses.end(&RefreshOutcome::Changed(found), now);
        assert!(misses.may_look(now.plus(TimeDelta::minutes(1))));
        assert!(!misses.may_look(now.plus(TimeDelta::seconds(59))));
        assert!(
            misses.may_look(now.plus(TimeDelta::minutes(-61))),
            "the clock was set back"
        );
    }
}
