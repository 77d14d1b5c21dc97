//! Watching models in the service, as `model-catalog check` does from outside: a change of what is
//! wrong with one is logged, counted and told to webhooks.

use chrono::TimeDelta;

use super::{
    file::{LockedModel, Lockfile},
    listed::ListedModel,
    verdict::{Verdict, verdict},
};
use crate::{
    config::error::ConfigError,
    model::{event::ProblemKind, time::Timestamp},
    snapshot::Snapshot,
};

/// The models to watch.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Each id once.
    models: Vec<LockedModel>,
    /// How near a retirement may come before it is a problem.
    within: TimeDelta,
}

impl Watch {
    /// Watches the models with these whole ids. That one has become smaller is told only of those in
    /// a lock file: it says how large they were.
    pub fn new(ids: &[&str], within: TimeDelta) -> Result<Self, ConfigError> {
        let models = ids.iter().map(|id| LockedModel::of_id(id)).collect();
        Self::of(models, within)
    }

    /// Watches the models of a lock file with this text.
    pub fn from_lockfile(text: &str, within: TimeDelta) -> Result<Self, ConfigError> {
        let file = Lockfile::parse(text)
            .map_err(|error| ConfigError(format!("the watched lock file: {error}")))?;
        Self::of(file.models().to_vec(), within)
    }

    /// Both; what a lock file says of a model counts.
    pub(crate) fn and(self, other: Self) -> Result<Self, ConfigError> {
        let known = |model: &LockedModel| self.models.iter().any(|own| own.id == model.id);
        let mut models = other.models;
        models.retain(|model| !known(model));
        models.extend(self.models.iter().cloned());
        Self::of(models, self.within)
    }

    fn of(mut models: Vec<LockedModel>, within: TimeDelta) -> Result<Self, ConfigError> {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
        if models.iter().any(|model| model.id.trim().is_empty()) {
            return Err(ConfigError("watch: an id is empty: remove it".to_owned()));
        }
        Ok(Self { models, within })
    }

    /// The ids.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.models.iter().map(|model| model.id.as_str()).collect()
    }

    /// What has become of each model, by what `snapshot` lists at `now`. None of those that are
    /// missing while a source has never been heard from: it may be that source's.
    pub(crate) fn verdicts(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Vec<Verdict>, serde_json::Error> {
        let listed = ListedModel::parse_list(&snapshot.list.bytes)?;
        let unheard = snapshot.list_missing().next().is_some();
        let mut verdicts: Vec<Verdict> = self
            .models
            .iter()
            .map(|model| verdict(model, &listed, now, self.within))
            .collect();
        let is_missing = |verdict: &Verdict| {
            let mut problems = verdict.problems.iter();
            problems.any(|problem| problem.kind == ProblemKind::Missing)
        };
        verdicts.retain(|verdict| !(unheard && is_missing(verdict)));
        Ok(verdicts)
    }
}
