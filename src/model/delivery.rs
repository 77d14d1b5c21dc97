//! Webhook deliveries: the progress of each target, and each attempt.

use std::time::Duration;

use chrono::TimeDelta;

use super::{settings::WebhookSettings, time::Timestamp};

/// How long a target may fail before older deliveries are given up.
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);
/// The progress of one target.
#[derive(Clone, Debug)]
pub struct WebhookState {
    /// The last revision that was delivered or skipped.
    pub cursor: i64,
    /// The last alert that was delivered or skipped.
    pub alert_cursor: i64,
    /// When the last attempt began.
    pub attempted_at: Option<Timestamp>,
    /// No attempt before this time.
    pub next_attempt_at: Option<Timestamp>,
    /// Failures since the last delivery.
    pub consecutive_failures: i64,
    /// When the target answered 410 Gone.
    pub gone_at: Option<Timestamp>,
}

impl WebhookState {
    /// Whether a delivery may be tried at `now`. Waits from a clock that was set back do not count.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let is_from_the_future = self.attempted_at.is_some_and(|at| at > now);
        self.gone_at.is_none()
            && (is_from_the_future || self.next_attempt_at.is_none_or(|at| at <= now))
    }
}

/// The message of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryId {
    /// A revision.
    Revision(i64),
    /// An alert.
    Alert(i64),
}

impl DeliveryId {
    /// The revision; none for an alert.
    pub fn revision(self) -> Option<i64> {
        match self {
            Self::Revision(revision) => Some(revision),
            Self::Alert(_) => None,
        }
    }

    /// The alert; none for a revision.
    pub fn alert(self) -> Option<i64> {
        match self {
            Self::Revision(_) => None,
            Self::Alert(alert) => Some(alert),
        }
    }
}

/// One attempt at a target.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The target.
    pub webhook: &'a WebhookSettings,
    /// Until when it is claimed for this attempt.
    pub claimed_until: Timestamp,
    /// The delivered message.
    pub id: DeliveryId,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
}

/// Why an attempt at a target failed.
#[derive(Clone, Debug)]
pub struct Undelivered {
    /// The HTTP status; none without an answer.
    pub http_status: Option<u16>,
    /// One line for the operator, without the target's URL.
    pub message: String,
    /// How long to wait before the next attempt.
    pub wait: TimeDelta,
    /// Whether the target answered 410 Gone.
    pub is_gone: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_a_later_clock_set_does_not_count() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let state = WebhookState {
            cursor: 0,
            alert_cursor: 0,
            attempted_at: Some(at(10_000)),
            next_attempt_at: Some(at(10_060)),
            consecutive_failures: 3,
            gone_at: None,
        };
        assert!(!state.is_due(at(10_000)));
        assert!(state.is_due(at(10_060)));
        assert!(state.is_due(at(400)), "the clock was set back since");
        let gone = WebhookState {
            gone_at: Some(at(10_000)),
            ..state
        };
        assert!(!gone.is_due(at(400)));
    }
}
