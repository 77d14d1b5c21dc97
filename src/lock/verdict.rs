//! Compares a locked model with the current list. Pure.

use chrono::TimeDelta;

use super::{file::LockedModel, listed::ListedModel};
use crate::model::{
    event::{Problem, ProblemKind},
    lifecycle::Stage,
    time::Timestamp,
};

/// The verdict on one locked model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The model.
    pub id: String,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
    /// Possible future problems, a line each.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Whether the model has no problem.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Judges `locked` at `now`. `listed` is the model with its id in any case, if one is listed. A
/// retirement within `within` is a problem. Messages contain only ids and our own words: other
/// source text must not be printed.
pub fn verdict(
    locked: &LockedModel,
    listed: Option<&ListedModel>,
    now: Timestamp,
    within: TimeDelta,
) -> Verdict {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut add = |kind, message| problems.push(Problem { kind, message });

    // The id alone could be another source's by now.
    let is_its_own = |model: &&ListedModel| {
        let owner = locked.owned_by.as_ref();
        owner.is_none_or(|owner| *owner == model.owned_by)
    };
    let is_anothers = listed.is_some_and(|model| !is_its_own(&model));
    let listed = listed.filter(is_its_own);
    match listed {
        None => {
            let suffix = match is_anothers {
                true => "; another source now lists this id",
                false => "",
            };
            add(ProblemKind::Missing, format!("{}{suffix}", missing(locked)));
        }
        Some(model) if model.id != locked.id => {
            add(ProblemKind::Recased, format!("now listed as {}", model.id));
        }
        Some(_) => {}
    }
    if let Some(ListedModel { attributes, .. }) = listed {
        let stage = Stage::of(attributes, now);
        if stage == Stage::Retired {
            let message = "its source says that it is retired".to_owned();
            add(ProblemKind::Retired, message);
        }
        match attributes.retires_at {
            Some(at) if at <= now.plus(within) => add(ProblemKind::Retiring, retiring(at, now)),
            None if stage == Stage::Deprecated => {
                warnings.push("deprecated, without a date of its retirement".to_owned());
            }
            _ => {}
        }
        let smaller = |locked: Option<i64>, now: Option<i64>| {
            let (locked, now) = locked.zip(now)?;
            (now < locked).then(|| format!("{locked} → {now}"))
        };
        if let Some(change) = smaller(locked.context_window, attributes.context_window) {
            let message = format!("context window {change}");
            add(ProblemKind::SmallerContext, message);
        }
        if let Some(change) = smaller(locked.max_output_tokens, attributes.max_output_tokens) {
            let message = format!("output limit {change}");
            add(ProblemKind::SmallerOutput, message);
        }
    }
    Verdict {
        id: locked.id.clone(),
        problems,
        warnings,
    }
}

fn missing(locked: &LockedModel) -> String {
    match locked.last_seen_at {
        Some(at) => format!("not listed; it was on {}", at.date()),
        None => "not listed".to_owned(),
    }
}

fn retiring(at: Timestamp, now: Timestamp) -> String {
    let date = at.date();
    match (date - now.date()).num_days() {
        _ if at <= now => format!("was to retire on {date}"),
        0 => format!("retires on {date}, today"),
        1 => format!("retires on {date}, tomorrow"),
        days => format!("retires on {date}, in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn locked() -> LockedModel {
        LockedModel {
            id: "acme:Big".to_owned(),
            owned_by: Some("acme".to_owned()),
            context_window: Some(128_000),
            max_output_tokens: Some(8_000),
            last_seen_at: Some("2026-11-01T00:00:00Z".parse().expect("a time")),
        }
    }

    /// Its problems and warnings as lines, when `entry` is all that is listed.
    fn lines(locked: &LockedModel, entry: Value) -> Vec<String> {
        let mut model = json!({"created": 0, "owned_by": "acme"});
        let fields = model.as_object_mut().expect("an object");
        fields.extend(entry.as_object().expect("an object").clone());
        let listed: ListedModel = serde_json::from_value(model).expect("an entry");
        let listed = Some(&listed).filter(|model| model.id.eq_ignore_ascii_case(&locked.id));
        let now = NOW.parse().expect("a time");
        let verdict = verdict(locked, listed, now, TimeDelta::days(30));
        assert_eq!(verdict.is_ok(), verdict.problems.is_empty());
        let problems = verdict.problems.iter();
        problems
            .map(|problem| format!("{}: {}", problem.kind.as_str(), problem.message))
            .chain(verdict.warnings)
            .collect()
    }

    #[rstest]
    #[case::as_it_was(json!({"context_window": 128_000, "max_output_tokens": 8_000}), &[])]
    #[case::larger(json!({"context_window": 128_001, "max_output_tokens": 8_001}), &[])]
    #[case::unknown_now(json!({}), &[])]
    #[case::smaller_context(json!({"context_window": 127_999}),
        &["smaller_context: context window 128000 → 127999"])]
    #[case::smaller_output(json!({"max_output_tokens": 1}),
        &["smaller_output: output limit 8000 → 1"])]
    #[case::missing(json!({"id": "acme:Bigger"}), &["missing: not listed; it was on 2026-11-01"])]
    #[case::anothers(json!({"owned_by": "lb"}),
        &["missing: not listed; it was on 2026-11-01; another source now lists this id"])]
    #[case::recased(json!({"id": "acme:big"}), &["recased: now listed as acme:big"])]
    #[case::active(json!({"lifecycle": "active"}), &[])]
    #[case::retired(json!({"lifecycle": "Retired"}),
        &["retired: its source says that it is retired"])]
    #[case::passed(json!({"retires_at": "2026-11-23T12:00:00Z"}),
        &["retiring: was to retire on 2026-11-23"])]
    #[case::today(json!({"retires_at": "2026-11-23T12:00:01Z"}),
        &["retiring: retires on 2026-11-23, today"])]
    #[case::tomorrow(json!({"retires_at": "2026-11-24T00:00:00Z"}),
        &["retiring: retires on 2026-11-24, tomorrow"])]
    #[case::last_moment(json!({"retires_at": "2026-12-23T12:00:00Z"}),
        &["retiring: retires on 2026-12-23, in 30 days"])]
    #[case::later(json!({"retires_at": "2026-12-23T12:00:00.001Z"}), &[])]
    #[case::deprecated(json!({"lifecycle": "deprecated"}),
        &["deprecated, without a date of its retirement"])]
    #[case::deprecated_until(
        json!({"lifecycle": "deprecated", "retires_at": "2027-12-23T12:00:00Z"}), &[])]
    #[case::everything(
        json!({"id": "ACME:big", "lifecycle": "retired", "retires_at": "2026-11-20T00:00:00Z",
            "context_window": 1, "max_output_tokens": 1}),
        &[
            "recased: now listed as ACME:big",
            "retired: its source says that it is retired",
            "retiring: was to retire on 2026-11-20",
            "smaller_context: context window 128000 → 1",
            "smaller_output: output limit 8000 → 1",
        ])]
    fn verdicts(#[case] entry: Value, #[case] expected: &[&str]) {
        let mut entry = entry;
        let fields = entry.as_object_mut().expect("an object");
        fields.entry("id").or_insert(json!("acme:Big"));
        assert_eq!(lines(&locked(), entry), expected);
    }

    #[test]
    fn what_was_not_known_cannot_have_become_smaller() {
        let locked = LockedModel {
            context_window: None,
            max_output_tokens: None,
            last_seen_at: None,
            ..locked()
        };
        let entry = json!({"id": "acme:Big", "context_window": 1, "max_output_tokens": 1});
        assert!(lines(&locked, entry).is_empty());
        assert_eq!(lines(&locked, json!({"id": "x"})), ["missing: not listed"]);
    }
}
