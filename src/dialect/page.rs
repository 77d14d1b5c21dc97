//! Part of a list: which models a page has. A cursor is a place in the list's order rather than a
//! number, so it stays right when models come and go between two pages: whatever stays is told once.

use super::Seen;
use crate::{
    model::{Role, source_order},
    snapshot::Snapshot,
};

/// A place in the order of the list, whether a model stands there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    source: (u8, &'a str),
    model_id: &'a str,
}

impl<'a> Place<'a> {
    /// That of a local model: these stand together, whichever endpoints have them.
    pub fn local(id: &'a str) -> Self {
        Self {
            source: source_order(Role::Endpoint, ""),
            model_id: id,
        }
    }

    /// That of a provider's model.
    pub fn cloud(provider: &'a str, model_id: &'a str) -> Self {
        Self {
            source: source_order(Role::Provider, provider),
            model_id,
        }
    }

    /// That of the whole `id` in `snapshot`. One that is not listed (any more) has the place at which
    /// it would be.
    pub fn of(id: &'a str, snapshot: &'a Snapshot) -> Self {
        if let Some(model) = snapshot.find(id) {
            return Seen::merged(model).place();
        }
        let providers = snapshot
            .sources
            .iter()
            .filter(|source| source.role == Role::Provider);
        providers
            .map(|source| source.name.as_str())
            .find_map(|name| {
                let model_id = id.strip_prefix(name)?.strip_prefix(':')?;
                Some(Self::cloud(name, model_id))
            })
            .unwrap_or(Self::local(id))
    }
}

/// Some models of a list that stand together.
#[derive(Debug)]
pub struct Page<'a> {
    /// They.
    pub models: &'a [Seen<'a>],
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    /// Whether they are all of the list.
    pub is_whole: bool,
}

impl<'a> Page<'a> {
    /// The first `size` models of `list` behind `cursor`.
    pub fn after(list: &'a [Seen<'a>], cursor: Option<Place>, size: usize) -> Self {
        let start = cursor.map_or(0, |cursor| {
            list.partition_point(|model| model.place() <= cursor)
        });
        let end = start.saturating_add(size).min(list.len());
        Self {
            models: &list[start..end],
            has_more: end < list.len(),
            is_whole: end - start == list.len(),
        }
    }

    /// The last `size` models of `list` in front of `cursor`.
    pub fn before(list: &'a [Seen<'a>], cursor: Place, size: usize) -> Self {
        let end = list.partition_point(|model| model.place() < cursor);
        let start = end.saturating_sub(size);
        Self {
            models: &list[start..end],
            has_more: start > 0,
            is_whole: end - start == list.len(),
        }
    }
}
