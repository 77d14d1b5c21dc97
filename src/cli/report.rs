//! The report of `model-catalog check`: a table for people, JSON, or JUnit XML for CI. Pure.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::text::table;
use crate::{
    lock::verdict::Verdict,
    model::{event::Problem, time::Timestamp, xml::xml_text},
};

/// The name of the JUnit report and of its only test suite.
const NAME: &str = "model-catalog check";

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// JUnit XML: a test case for each model.
    Junit,
}

/// The verdict on each locked model.
pub struct Report {
    pub checked_at: Timestamp,
    pub verdicts: Vec<Verdict>,
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    checked_at: Timestamp,
    models: Vec<ModelAnswer<'a>>,
}

#[derive(Serialize)]
struct ModelAnswer<'a> {
    id: &'a str,
    ok: bool,
    problems: &'a [Problem],
    warnings: &'a [String],
}

impl Report {
    /// Whether no model has a problem.
    pub fn is_ok(&self) -> bool {
        self.verdicts.iter().all(Verdict::is_ok)
    }

    /// The report as text, with a trailing line break.
    pub fn render(&self, format: Format) -> anyhow::Result<String> {
        let text = match format {
            Format::Table => self.table(),
            Format::Json => self.json()?,
            Format::Junit => self.junit()?,
        };
        Ok(format!("{}\n", text.trim_end()))
    }

    /// A row for each problem and warning, and one for each model without any.
    fn table(&self) -> String {
        let mut rows = Vec::new();
        for verdict in &self.verdicts {
            let row =
                |kind: &str, what: &str| [verdict.id.clone(), kind.to_owned(), what.to_owned()];
            for Problem { kind, message } in &verdict.problems {
                rows.push(row(kind.as_str(), message));
            }
            for warning in &verdict.warnings {
                rows.push(row("warning", warning));
            }
            if verdict.is_ok() && verdict.warnings.is_empty() {
                rows.push(row("ok", ""));
            }
        }
        let table = table(["MODEL", "VERDICT", "WHAT"], rows);
        let count = self.verdicts.len();
        let bad = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.is_ok())
            .count();
        let summary = match (bad, count) {
            (0, 1) => "the model is ok".to_owned(),
            (0, _) => format!("all {count} models are ok"),
            _ => format!("{bad} of {count} models not ok"),
        };
        format!("{table}\n\n{summary}")
    }

    fn json(&self) -> serde_json::Result<String> {
        let models = self.verdicts.iter().map(|verdict| ModelAnswer {
            id: &verdict.id,
            ok: verdict.is_ok(),
            problems: &verdict.problems,
            warnings: &verdict.warnings,
        });
        serde_json::to_string_pretty(&Answer {
            ok: self.is_ok(),
            checked_at: self.checked_at,
            models: models.collect(),
        })
    }

    fn junit(&self) -> Result<String, quick_junit::SerializeError> {
        let mut suite = TestSuite::new(NAME);
        for verdict in &self.verdicts {
            let mut case = TestCase::new(xml_text(&verdict.id), status(&verdict.problems));
            case.set_classname(NAME);
            if !verdict.warnings.is_empty() {
                case.set_system_out(verdict.warnings.join("\n"));
            }
            suite.add_test_case(case);
        }
        let mut report = quick_junit::Report::new(NAME);
        report.add_test_suite(suite);
        report.to_string()
    }
}

/// A test case fails once, so its failure names every problem. Some tools show its message, others
/// its text.
fn status(problems: &[Problem]) -> TestCaseStatus {
    if problems.is_empty() {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let list = |between, part: fn(&Problem) -> String| {
        let parts: Vec<String> = problems.iter().map(part).collect();
        xml_text(&parts.join(between))
    };
    status
        .set_type(list(", ", |problem| problem.kind.as_str().to_owned()))
        .set_message(list("; ", |problem| problem.message.clone()))
        .set_description(list("\n", |Problem { kind, message }| {
            format!("{}: {message}", kind.as_str())
        }));
    status
}
