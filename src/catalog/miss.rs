//! Refresh on miss: when a request for an unknown model may refresh its provider. One attempt at a
//! time, then a pause of a minute, doubling to an hour while attempts find nothing new.

use tokio::{sync::watch, time::Instant};

use super::tasks::refresh::RefreshOutcome;
use crate::{ingest::schedule::Backoff, model::time::Timestamp};

/// The miss-triggered attempts at one provider.
#[derive(Debug, Default)]
pub struct MissRefresh {
    /// When the last attempt ended.
    ended_at: Option<Timestamp>,
    /// How many attempts in a row have found nothing new.
    found_nothing: i64,
    under_way: Option<MissAttempt>,
}

/// One attempt. Any number of requests may wait for it.
#[derive(Clone, Debug)]
pub struct MissAttempt {
    /// True once it has ended.
    pub ended: watch::Receiver<bool>,
    /// When it began.
    pub began: Instant,
}

impl MissRefresh {
    /// The running attempt, if any.
    pub fn under_way(&self) -> Option<MissAttempt> {
        self.under_way.clone()
    }

    /// Whether a new attempt may begin at `now`.
    pub fn may_refresh(&self, now: Timestamp) -> bool {
        let gap = Backoff::MISS.wait(self.found_nothing, None, 0.0);
        // An end in the future comes from a clock that was set back.
        self.ended_at
            .is_none_or(|ended| now < ended || now.since(ended) >= gap)
    }

    /// Begins an attempt. After [`MissRefresh::end`], the caller sends true on the channel.
    pub fn begin(&mut self) -> (MissAttempt, watch::Sender<bool>) {
        let (end, ended) = watch::channel(false);
        let attempt = MissAttempt {
            ended,
            began: Instant::now(),
        };
        self.under_way = Some(attempt.clone());
        (attempt, end)
    }

    /// Ends the attempt and records its outcome.
    pub fn end(&mut self, outcome: &RefreshOutcome, now: Timestamp) {
        self.under_way = None;
        self.found_nothing = match outcome {
            // The source was not fetched, so this does not count as an attempt.
            RefreshOutcome::NotDue | RefreshOutcome::Stopped | RefreshOutcome::Elsewhere(_) => {
                return;
            }
            RefreshOutcome::Changed(counts) if counts.added + counts.returned > 0 => 0,
            _ => self.found_nothing.saturating_add(1),
        };
        self.ended_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::event::Counts;

    #[test]
    fn doubles_while_nothing_is_found() {
        let mut miss = MissRefresh::default();
        let mut now = Timestamp::from_millis(1_800_000_000_000);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(miss.may_refresh(now));
            let _ = miss.begin();
            assert!(miss.under_way().is_some());
            miss.end(&RefreshOutcome::Unchanged, now);
            assert!(miss.under_way().is_none());
            assert!(
                !miss.may_refresh(
                    now.plus(TimeDelta::minutes(minutes) - TimeDelta::milliseconds(1))
                )
            );
            now = now.plus(TimeDelta::minutes(minutes));
        }
        let found = Counts {
            added: 1,
            ..Counts::default()
        };
        let _ = miss.begin();
        miss.end(&RefreshOutcome::NotDue, now);
        assert!(miss.may_refresh(now), "that was no attempt");
        miss.end(&RefreshOutcome::Changed(found), now);
        assert!(miss.may_refresh(now.plus(TimeDelta::minutes(1))));
        assert!(!miss.may_refresh(now.plus(TimeDelta::seconds(59))));
        assert!(
            miss.may_refresh(now.plus(TimeDelta::minutes(-61))),
            "the clock was set back"
        );
    }
}
