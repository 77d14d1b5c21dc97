//! Part of a list: which models a page has. A cursor is a place in the list's order rather than a
//! number, so it stays right when models come and go between two pages: whatever stays is told once.

use super::view::{ModelView, Place};

/// Some models of a list that stand together.
#[derive(Debug)]
pub struct Page<'a> {
    /// They.
    pub models: &'a [ModelView<'a>],
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    /// Whether they are all of the list.
    pub is_whole: bool,
}

impl<'a> Page<'a> {
    /// The first `size` models of `list` behind `cursor`.
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

    /// The last `size` models of `list` in front of `cursor`.
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
