//! Pages of a list. A cursor is a place in the list order, not an index, so it stays valid when
//! models come and go between two pages: a model that stays appears exactly once.

use super::view::{ModelView, Place};

/// A contiguous part of a list.
#[derive(Debug)]
pub struct Page<'a> {
    /// The models of the page.
    pub models: &'a [ModelView<'a>],
    /// Whether there are more models in the direction of reading.
    pub has_more: bool,
    /// Whether the page is the whole list.
    pub is_whole: bool,
}

impl<'a> Page<'a> {
    /// The first `size` models of `list` after `cursor`.
    pub fn after(list: &'a [ModelView<'a>], cursor: Option<Place>, size: usize) -> Self {
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

    /// The last `size` models of `list` before `cursor`.
    pub fn before(list: &'a [ModelView<'a>], cursor: Place, size: usize) -> Self {
        let end = list.partition_point(|model| model.place() < cursor);
        let start = end.saturating_sub(size);
        Self {
            models: &list[start..end],
            has_more: start > 0,
            is_whole: end - start == list.len(),
        }
    }
}
