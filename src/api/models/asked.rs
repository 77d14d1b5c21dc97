//! A request for models: checked first, then waited for, then made, off the serving threads if anything has
//! to be made.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use super::{
    past,
    view::{View, Wanted},
};
use crate::{
    api::{auth::Caller, error::ApiError},
    catalog::{Catalog, current::Current},
    model::{event::Moment, source::SourceName, state::Sources},
    snapshot::{
        Snapshot,
        selection::{BadFilter, ResolvedSelection, Selection},
    },
};

/// A request for models: who asks for what, checked, before anything is read.
pub struct Asked {
    catalog: Catalog,
    caller: Caller,
    /// The requested moment of the past; none for now.
    moment: Option<Moment>,
    selection: Selection,
}

impl Asked {
    /// The request for `uri` for the list, limited to the models that its filters choose.
    pub fn for_list(catalog: Catalog, uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?;
        Self::for_selection(catalog, uri, headers, selection)
    }

    /// The request for `uri` for the list of `source`.
    pub fn for_source(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        source: &SourceName,
    ) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?.of_source(source);
        Self::for_selection(catalog, uri, headers, selection)
    }

    /// The request for `uri` for one model.
    pub fn for_model(catalog: Catalog, uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::for_selection(catalog, uri, headers, Selection::default())
    }

    fn for_selection(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        selection: Selection,
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, uri, headers)?;
        let moment = past::requested_moment(uri.query())?;
        if let (Some(_), Some(name)) = (moment, selection.current_only_filter()) {
            let message = format!(
                "{name}= applies only to the present: remove it, or remove at= and revision=."
            );
            return Err(BadFilter { name, message }.into());
        }
        Ok(Self {
            catalog,
            caller,
            moment,
            selection,
        })
    }

    /// Whether it is for whole entries.
    pub fn is_of_all_fields(&self) -> bool {
        self.selection.fields.is_empty()
    }

    /// The present list, once each of its sources has been attempted, or the remembered past; none for
    /// a past that has to be read.
    pub async fn current(&self) -> Option<Arc<Current>> {
        if let Some(moment) = self.moment {
            return self.remembered(moment);
        }
        let scope = self.caller.scope();
        let counts = |source: &SourceName| {
            scope.allows_source(source.as_str()) && self.selection.may_choose(source)
        };
        Some(self.catalog.current_with(counts).await)
    }

    /// The same for a request for one model. An unknown one may trigger a refresh of its provider.
    pub async fn current_with(&self, wanted: &Wanted) -> Result<Option<Arc<Current>>, ApiError> {
        if let Some(moment) = self.moment {
            return Ok(self.remembered(moment));
        }
        let Self {
            catalog, caller, ..
        } = self;
        let snapshot = catalog.current().snapshot.clone();
        let seen = match self.seen_part(&snapshot) {
            Some(seen) => seen,
            None => {
                let (caller, snapshot) = (caller.clone(), snapshot.clone());
                let made = async move { caller.sees(&snapshot) };
                catalog.shared().costly.run(made).await??
            }
        };
        let lists = |current: &Current| match Arc::ptr_eq(&current.snapshot, &snapshot) {
            true => wanted.find(&seen).is_some(),
            // A refresh has just found something.
            false => caller
                .sees(&current.snapshot)
                .is_ok_and(|seen| wanted.find(&seen).is_some()),
        };
        let keys = |current: &Current| wanted.keys(&current.visibility(caller.scope()));
        Ok(Some(catalog.current_with_model(lists, keys).await))
    }

    /// The catalog as it was served at `moment`, if it is remembered, with the present state of its sources.
    fn remembered(&self, moment: Moment) -> Option<Arc<Current>> {
        Some(Arc::new(Current {
            snapshot: past::remembered(&self.catalog, moment)?,
            sources: self.catalog.current().sources.clone(),
        }))
    }

    /// What the caller may see of `snapshot`, if it has been made.
    fn seen_part(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        match self.caller.part_name() {
            name if name.is_empty() => Some(snapshot.clone()),
            name => snapshot.cached_part(&name),
        }
    }

    /// The view, if nothing has to be made for it.
    pub fn ready(&self, current: Option<&Arc<Current>>) -> Option<View> {
        let Current { snapshot, sources } = &**current?;
        let seen = self.seen_part(snapshot)?;
        let snapshot = match self.selection.resolve(&sources.states, self.catalog.now()) {
            None => seen,
            Some(chosen) => snapshot.cached_part(&self.part_name(&chosen, &seen))?,
        };
        Some(self.view(snapshot, sources.clone()))
    }

    /// The view. Reads the past from the database, or makes the part that the request may see. Costly.
    pub async fn make(&self, current: Option<Arc<Current>>) -> Result<View, ApiError> {
        let Self {
            catalog, caller, ..
        } = self;
        let current = match (current, self.moment) {
            (Some(current), _) => current,
            (None, Some(moment)) => past(catalog, moment).await?,
            (None, None) => catalog.current(),
        };
        let Current { snapshot, sources } = &*current;
        let seen = caller.sees(snapshot)?;
        let seen = match self.selection.resolve(&sources.states, catalog.now()) {
            None => seen,
            // Cached with the whole snapshot, like the parts per key, so that both share one bound.
            Some(chosen) => snapshot
                .part(&self.part_name(&chosen, &seen), || seen.restrict(&chosen))
                .map_err(|error| ApiError::unwritable(&error))?,
        };
        Ok(self.view(seen, sources.clone()))
    }

    /// The cache name of the `chosen` part of what the caller has `seen`.
    fn part_name(&self, chosen: &ResolvedSelection, seen: &Snapshot) -> String {
        format!(
            "{}?{}",
            self.caller.part_name(),
            chosen.name(seen.count_passed(chosen.now))
        )
    }

    fn view(&self, snapshot: Arc<Snapshot>, sources: Arc<Sources>) -> View {
        View {
            catalog: self.catalog.clone(),
            snapshot,
            sources,
            scope: self.caller.scope(),
            moment: self.moment,
            selection: self.selection.clone(),
        }
    }
}

/// The catalog as it was served at `moment`, with the present state of its sources.
async fn past(catalog: &Catalog, moment: Moment) -> Result<Arc<Current>, ApiError> {
    Ok(Arc::new(Current {
        snapshot: past::snapshot(catalog, moment).await?,
        sources: catalog.current().sources.clone(),
    }))
}
