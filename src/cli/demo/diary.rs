//! Half a year of made-up history, as a diary: what each source does when. Its last day is moved to the
//! last day before now. The questions in `docs/sql.md` are asked about it.

use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::model::time::Timestamp;

/// Lines with a time; below each, indented, what happens then.
const DIARY: &str = include_str!("diary.txt");
/// From this long before its end on, every source is asked each day; before that, each week.
const DAILY: TimeDelta = TimeDelta::days(14);

/// A moment of the diary, at which the sources are asked that something happens at, or else all.
#[derive(Debug)]
pub struct Moment {
    /// When it is.
    pub at: Timestamp,
    /// What happens before sources are asked.
    pub happenings: Vec<Happening>,
}

/// What a source does.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// The source.
    pub source: String,
    /// What it does.
    pub deed: Deed,
}

/// What a source does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It says this of a model.
    Lists(String, Map<String, Value>),
    /// It does not list the model any more.
    Drops(String),
    /// It answers its whole list again.
    Recovers,
    /// It answers with its first model alone, once.
    Hiccups,
    /// It answers with this HTTP status, or not in time.
    Fails(Option<u16>),
}

/// The diary with its dates moved, so that it ends within the day before `now`.
pub fn tell(now: Timestamp) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for line in DIARY.lines() {
        match line.strip_prefix("    ") {
            None => moments.extend(time_of(line).map(|at| Moment {
                at,
                happenings: Vec::new(),
            })),
            Some(line) => {
                if let (Some(moment), Some(happening)) = (moments.last_mut(), parse(line)) {
                    moment.happenings.push(happening);
                }
            }
        }
    }
    let (Some(begin), Some(end)) = (moments.first(), moments.last()) else {
        return moments;
    };
    let (begin, end) = (begin.at, end.at);
    let mut at = begin;
    while at < end {
        let step = if end.since(at) > DAILY { 7 } else { 1 };
        at = at.plus(TimeDelta::days(step));
        if at < end && moments.iter().all(|moment| moment.at != at) {
            moments.push(Moment {
                at,
                happenings: Vec::new(),
            });
        }
    }
    moments.sort_by_key(|moment| moment.at);
    let days = TimeDelta::days(now.since(end).num_days() - i64::from(now < end));
    for moment in &mut moments {
        moment.at = moment.at.plus(days);
        for happening in &mut moment.happenings {
            if let Deed::Lists(_, said) = &mut happening.deed {
                move_dates(said, days);
            }
        }
    }
    moments
}

/// Moves what is a time in `said` by `days`.
fn move_dates(said: &mut Map<String, Value>, days: TimeDelta) {
    for value in said.values_mut() {
        let time: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
        if let Some(time) = time {
            *value = time.plus(days).to_string().into();
        }
    }
}

/// A day, or a day and minute, in UTC.
fn time_of(text: &str) -> Option<Timestamp> {
    let missing = "0000-00-00T00:00:00Z".get(text.len()..)?;
    format!("{text}{missing}").parse().ok()
}

fn parse(line: &str) -> Option<Happening> {
    let mut words = line.splitn(4, ' ');
    let (source, verb) = (words.next()?, words.next()?);
    let what = words.next().unwrap_or_default();
    let deed = match verb {
        "lists" => Deed::Lists(what.to_owned(), serde_json::from_str(words.next()?).ok()?),
        "drops" => Deed::Drops(what.to_owned()),
        "recovers" => Deed::Recovers,
        "hiccups" => Deed::Hiccups,
        "fails" => Deed::Fails(match what {
            "unauthorized" => Some(401),
            "rate_limited" => Some(429),
            "unavailable" => Some(503),
            _ => None,
        }),
        _ => return None,
    };
    Some(Happening {
        source: source.to_owned(),
        deed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood_and_the_end_is_within_the_last_day() {
        for now in [
            "2026-11-24T06:05:00Z",
            "2026-11-26T23:00:00Z",
            "2031-02-01T00:00:00Z",
            "2020-02-01T00:00:00Z",
        ] {
            let now: Timestamp = now.parse().expect("a time");
            let moments = tell(now);
            let lines = DIARY.lines().filter(|line| line.starts_with(' ')).count();
            let told: usize = moments.iter().map(|moment| moment.happenings.len()).sum();
            assert_eq!(told, lines);
            assert!(moments.is_sorted_by_key(|moment| moment.at));
            let end = moments.last().expect("an end").at;
            assert!(
                end <= now && now.since(end) < TimeDelta::days(1),
                "{end} before {now}"
            );
            let begin = moments.first().expect("a beginning").at;
            assert_eq!(end.since(begin).num_days(), 162);
        }
    }

    #[test]
    fn dates_in_what_is_said_move_with_it() {
        let end = |moments: Vec<Moment>| {
            let mut deeds = moments.into_iter().flat_map(|moment| moment.happenings);
            let said = deeds.find_map(|happening| match happening.deed {
                Deed::Lists(id, said) if id == "gpt-w" => said.get("retires_at").cloned(),
                _ => None,
            });
            said.expect("a retirement")
        };
        let told = |now: &str| end(tell(now.parse().expect("a time")));
        assert_eq!(told("2026-11-24T06:05:00Z"), "2026-10-15T00:00:00.000Z");
        assert_eq!(told("2026-11-26T06:05:00Z"), "2026-10-17T00:00:00.000Z");
    }
}
