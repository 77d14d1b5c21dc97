//! The watched models, from the settings and from a lock file.

use chrono::TimeDelta;

use super::{
    file::{LockedModel, Lockfile, LockfileError},
    listed::ListedModel,
    verdict::{Verdict, verdict},
};
use crate::model::{event::ProblemKind, time::Timestamp};

/// The models to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Without duplicate ids.
    models: Vec<LockedModel>,
    /// How close a retirement may come before it is a problem.
    within: TimeDelta,
}

/// Why models cannot be watched. One line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWatch {
    /// The lock file cannot be used.
    #[error("the watched lock file: {0}")]
    Lockfile(#[from] LockfileError),
    /// An id is empty.
    #[error("watch: an id is empty: remove it")]
    EmptyId,
}

impl Watch {
    /// Watches the models with these whole ids. Without recorded sizes, they never count as
    /// smaller; only a lock file records sizes. Fails on an empty id.
    pub fn new(ids: &[&str], within: TimeDelta) -> Result<Self, BadWatch> {
        let models = ids.iter().map(|id| LockedModel::of_id(id)).collect();
        Self::of(models, within)
    }

    /// Watches the models of a lock file with this text. Fails when the file is malformed.
    pub fn from_lockfile(text: &str, within: TimeDelta) -> Result<Self, BadWatch> {
        let file = Lockfile::parse(text)?;
        Self::of(file.models().to_vec(), within)
    }

    /// Combines both. For a model in both, the sizes in `self` win.
    pub(crate) fn and(self, other: Self) -> Result<Self, BadWatch> {
        let is_own = |model: &LockedModel| self.models.iter().any(|own| own.id == model.id);
        let mut models = other.models;
        models.retain(|model| !is_own(model));
        models.extend(self.models.iter().cloned());
        Self::of(models, self.within)
    }

    fn of(mut models: Vec<LockedModel>, within: TimeDelta) -> Result<Self, BadWatch> {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        if models.iter().any(|model| model.id.trim().is_empty()) {
            return Err(BadWatch::EmptyId);
        }
        Ok(Self { models, within })
    }

    /// The whole ids of the watched models.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.id.as_str())
    }

    /// Whether no model is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The verdict on each model at `now`. `find` returns the listed model with an id in any case. The
    /// verdict that a model is missing is left out unless that `is_known` of its id.
    pub(crate) fn verdicts(
        &self,
        find: impl Fn(&str) -> Option<ListedModel>,
        is_known: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Vec<Verdict> {
        let is_missing = |verdict: &Verdict| {
            let mut problems = verdict.problems.iter();
            problems.any(|problem| problem.kind == ProblemKind::Missing)
        };
        self.models
            .iter()
            .map(|model| verdict(model, find(&model.id).as_ref(), now, self.within))
            .filter(|verdict| !is_missing(verdict) || is_known(&verdict.id))
            .collect()
    }
}
