//! Charts as SVG, made of numbers: how attempts went, and how many models there were. Pure. Each has a text
//! that says the same.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::markup::{count, number};
use crate::{model::time::Timestamp, store::charts::Attempt};

/// The height of a chart, in units of its own.
const HEIGHT: f64 = 40.0;
/// The width of a bar and of the gap behind it.
const BAR: (f64, f64) = (4.0, 2.0);
/// The height of the bar of the shortest attempt.
const SHORTEST: f64 = 4.0;
/// The width of a line chart.
const WIDTH: f64 = 240.0;

/// A bar per attempt, as high as it took long.
pub struct AttemptsChart {
    /// The bars, oldest first.
    pub bars: Vec<Bar>,
    /// The same in words.
    pub words: String,
}

/// One attempt.
pub struct Bar {
    /// Where it begins.
    pub x: f64,
    /// Where its top is.
    pub y: f64,
    /// Its height.
    pub height: f64,
    /// The outcome.
    pub outcome: String,
    /// What it says when it is pointed at.
    pub title: String,
}

impl AttemptsChart {
    /// The chart of `attempts`, oldest first; none without any.
    pub fn of(attempts: &[Attempt]) -> Option<Self> {
        let longest = attempts.iter().map(|attempt| attempt.duration_ms).max()?;
        let slowest = longest.max(1) as f64;
        let bar = |(place, attempt): (usize, &Attempt)| {
            let share = attempt.duration_ms.max(0) as f64 / slowest;
            let height = SHORTEST + share * (HEIGHT - SHORTEST);
            Bar {
                x: place as f64 * (BAR.0 + BAR.1),
                y: HEIGHT - height,
                height,
                outcome: attempt.outcome.clone(),
                title: format!(
                    "{} UTC: {} in {} ms",
                    attempt.started_at.utc().format("%Y-%m-%d %H:%M"),
                    attempt.outcome,
                    number(attempt.duration_ms)
                ),
            }
        };
        Some(Self {
            bars: attempts.iter().enumerate().map(bar).collect(),
            words: in_words(attempts, longest),
        })
    }
}

/// `12 attempts: 11 unchanged, 1 failed; at most 320 ms`.
fn in_words(attempts: &[Attempt], longest: i64) -> String {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in attempts {
        *outcomes.entry(&attempt.outcome).or_default() += 1;
    }
    let outcomes: Vec<String> = outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    format!(
        "{}: {}; at most {} ms",
        count(i64::try_from(attempts.len()).unwrap_or(i64::MAX), "attempt"),
        outcomes.join(", "),
        number(longest)
    )
}

/// The number of a source's models on each day, as a line with steps.
pub struct CountChart {
    /// The path of the line.
    pub path: String,
    /// The number at the end of each day, oldest first.
    pub days: Vec<(NaiveDate, i64)>,
    /// The same in words.
    pub words: String,
    /// The number today.
    pub last: String,
}

impl CountChart {
    /// The chart of a source with `last` models at `until`, whose number changed on each day by
    /// `changes`, over the days from `from`.
    pub fn of(
        last: i64,
        changes: &BTreeMap<NaiveDate, i64>,
        from: NaiveDate,
        until: Timestamp,
    ) -> Self {
        let mut days = Vec::new();
        let mut count = last;
        let mut day = until.date();
        while day >= from {
            days.push((day, count));
            // Before what changed on this day.
            count -= changes.get(&day).copied().unwrap_or(0);
            match day.pred_opt() {
                Some(before) => day = before,
                None => break,
            }
        }
        days.reverse();
        let counts = || days.iter().map(|(_, count)| *count);
        let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        Self {
            path: path(&days, least, most),
            words: match least == most {
                true => format!("always {}", number(last)),
                false => format!("from {} to {}", number(least), number(most)),
            },
            last: number(last),
            days,
        }
    }

    /// The days on which the number changed, latest first: what a table beside the chart shows.
    pub fn steps(&self) -> Vec<(NaiveDate, String)> {
        let mut steps: Vec<(NaiveDate, i64)> = Vec::new();
        for (day, count) in &self.days {
            if steps.last().is_none_or(|(_, last)| last != count) {
                steps.push((*day, *count));
            }
        }
        let steps = steps.into_iter().rev();
        steps.map(|(day, count)| (day, number(count))).collect()
    }
}

fn path(days: &[(NaiveDate, i64)], least: i64, most: i64) -> String {
    let step = WIDTH / (days.len().saturating_sub(1).max(1)) as f64;
    let range = (most - least).max(1) as f64;
    // A line that never moves lies in the middle.
    let y = |count: i64| match least == most {
        true => HEIGHT / 2.0,
        false => HEIGHT - 2.0 - (count - least) as f64 / range * (HEIGHT - 4.0),
    };
    let mut path = String::new();
    for (place, (_, count)) in days.iter().enumerate() {
        let x = place as f64 * step;
        path += &match place {
            0 => format!("M{x:.1} {:.1}", y(*count)),
            _ => format!("H{x:.1}V{:.1}", y(*count)),
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).expect("a day")
    }

    #[test]
    fn counts_go_back_from_today() {
        let until = "2026-11-20T08:00:00Z".parse().expect("a time");
        let changes = BTreeMap::from([(day(18), 3), (day(20), -1), (day(1), 7)]);
        let chart = CountChart::of(9, &changes, day(17), until);
        assert_eq!(
            chart.days,
            [(day(17), 7), (day(18), 10), (day(19), 10), (day(20), 9)]
        );
        assert_eq!(chart.words, "from 7 to 10");
        let steps = [(day(20), "9"), (day(18), "10"), (day(17), "7")];
        assert_eq!(
            chart.steps(),
            steps.map(|(day, count)| (day, count.to_owned()))
        );
        assert_eq!(chart.path, "M0.0 38.0H80.0V2.0H160.0V2.0H240.0V14.0");
    }

    #[test]
    fn a_number_that_never_changed_is_a_line_in_the_middle() {
        let until = "2026-11-20T08:00:00Z".parse().expect("a time");
        let chart = CountChart::of(5, &BTreeMap::new(), day(20), until);
        assert_eq!(
            (chart.path.as_str(), chart.words.as_str()),
            ("M0.0 20.0", "always 5")
        );
    }

    #[test]
    fn bars_are_as_high_as_attempts_took_long() {
        let attempt = |outcome: &str, duration_ms| Attempt {
            started_at: Timestamp::from_millis(0),
            duration_ms,
            outcome: outcome.to_owned(),
            models: None,
            error: None,
        };
        assert!(AttemptsChart::of(&[]).is_none());
        let attempts = [
            attempt("unchanged", 0),
            attempt("failed", 100),
            attempt("unchanged", 50),
        ];
        let chart = AttemptsChart::of(&attempts).expect("a chart");
        let heights: Vec<f64> = chart.bars.iter().map(|bar| bar.height).collect();
        assert_eq!(heights, [4.0, 40.0, 22.0]);
        assert_eq!(chart.bars[2].x, 12.0);
        assert_eq!(
            chart.words,
            "3 attempts: 1 failed, 2 unchanged; at most 100 ms"
        );
    }
}
