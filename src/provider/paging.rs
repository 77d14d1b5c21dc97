//! Finds the next page: one reader for every envelope and one table of names. Pure.
//!
//! A list has all its pages or fails; it is never shortened. The rules, in this order:
//!
//! 1. A flag for the last page (`has_more: false`) ends the list.
//! 2. A link to the next page, in the answer or in a `Link` header. Only its query counts: the host
//!    stays the configured one.
//! 3. A cursor, which goes into the parameter that belongs to its name.
//! 4. A page number below the last page's.
//! 5. A flag for more pages: the next number, the next offset or the last id, whichever the answer
//!    has fields for. Otherwise the list is cut short.
//! 6. An empty link or cursor ends the list.
//! 7. A total above the number of entries so far: the next offset or number. Otherwise the list is
//!    cut short.
//! 8. A full page with an offset or a number: the next one, until a page is not full.
//!
//! A wrong guess does no harm: the caller refuses a page without new entries.

use serde_json::{Map, Value};

use self::{
    link::{of_header, query_of},
    names::{
        BARE_CURSORS, CONTAINERS, CURSORS, LAST, LAST_NUMBERS, LIMITS, LINKS, MORE, NEXT_NUMBERS,
        NUMBERS, OFFSETS, SIZES, TOTALS,
    },
};
use super::{
    progress::{Next, NoPage, Parameters, Progress},
    value::integer_of_text,
};
use crate::model::fetch::ErrorKind;

mod link;
pub mod names;

/// The contents of a page that paging depends on.
pub struct Held<'p> {
    /// The number of its entries, skipped ones included.
    pub count: usize,
    /// The id of its last entry.
    pub last_id: Option<&'p str>,
}

/// How the list API of a kind pages beyond the common names.
#[derive(Clone, Copy)]
pub struct Paging {
    /// The parameter that takes the last id.
    pub after: &'static str,
    /// Whether a list that does not state whether there is more continues after its last id.
    pub last_id_says_more: bool,
    /// Whether `count` is the number of entries on the page. Elsewhere it may be that of all.
    pub count_is_of_page: bool,
}

/// OpenAI's way, as the services that page at all implement it.
pub const AFTER: Paging = Paging {
    after: "after",
    last_id_says_more: false,
    count_is_of_page: false,
};

/// Returns how to request the page after the one with these `fields` beside its list (none after
/// the last page), and the page's own number.
pub fn next(
    fields: &Map<String, Value>,
    held: &Held,
    progress: &Progress,
    paging: Paging,
) -> Result<(Option<Next>, Option<i64>), NoPage> {
    let fields = Fields::of(fields);
    let number = fields.number(&NUMBERS).map(|(_, number)| number);
    Reader {
        fields,
        held,
        progress,
        paging,
    }
    .next()
    .map(|next| (next, number))
}

/// All fields of an answer, including those in containers.
struct Fields<'f>(Vec<(&'f str, &'f Value)>);

impl<'f> Fields<'f> {
    fn of(fields: &'f Map<String, Value>) -> Self {
        let mut all = Self(Vec::new());
        all.add(fields, 0);
        all
    }

    fn add(&mut self, fields: &'f Map<String, Value>, depth: usize) {
        self.0
            .extend(fields.iter().map(|(name, value)| (name.as_str(), value)));
        if depth < 3 {
            for name in CONTAINERS {
                if let Some(Value::Object(inner)) = fields.get(name) {
                    self.add(inner, depth + 1);
                }
            }
        }
    }

    /// The fields with these names, in the order of `names`.
    fn all<'s>(&'s self, names: &'s [&str]) -> impl Iterator<Item = (&'f str, &'f Value)> + 's {
        names.iter().flat_map(move |wanted| {
            let is_wanted = move |field: &&(&'f str, &'f Value)| field.0 == *wanted;
            self.0.iter().filter(is_wanted).copied()
        })
    }

    /// The first field with one of these names that is a whole number.
    fn number(&self, names: &[&str]) -> Option<(&'f str, i64)> {
        self.all(names)
            .find_map(|(name, value)| Some((name, integer_of_text(value)?)))
    }
}

struct Reader<'r> {
    fields: Fields<'r>,
    held: &'r Held<'r>,
    progress: &'r Progress,
    paging: Paging,
}

type Found = Result<Option<Next>, NoPage>;

impl Reader<'_> {
    fn next(&self) -> Found {
        let more = self.more()?;
        if matches!(more, Some((_, false))) {
            return Ok(None);
        }
        // Where a link is no help, a cursor or a number may be.
        let link = self.link();
        if let Ok(Some(next)) = link {
            return Ok(Some(next));
        }
        if let Some(next) = self.cursor(&CURSORS)? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_number()? {
            return Ok(Some(next));
        }
        link?;
        if let Some((field, _)) = more {
            return self.next_by_flag(field);
        }
        if self.has_empty_link() {
            return Ok(None);
        }
        if let Some(next) = self.below_total()? {
            return Ok(Some(next));
        }
        if self.paging.last_id_says_more && self.held.count > 0 {
            let last = self.last_id()?;
            return Ok(last.map(|last| next_with_one("last_id", self.paging.after, last)));
        }
        Ok(self.full_page())
    }

    /// Whether there is more, and the flag for it: the first yes, or else the first no.
    fn more(&self) -> Result<Option<(&str, bool)>, NoPage> {
        let mut last = None;
        for (names, is_more) in [(&MORE[..], true), (&LAST[..], false)] {
            for (name, value) in self.fields.all(names) {
                // Links and numbers have these names too.
                let is_flag = !["last", "more"].contains(&name) || value.is_boolean();
                match flag(name, value) {
                    Ok(Some(flag)) if is_flag && flag == is_more => return Ok(Some((name, true))),
                    Ok(Some(_)) if is_flag => last = last.or(Some((name, false))),
                    Err(error) if is_flag => return Err(error),
                    _ => {}
                }
            }
        }
        // Some services use `next_page` as a flag.
        let mut flags = self.fields.all(&["next", "next_page"]);
        Ok(last.or_else(|| flags.find_map(|(name, value)| Some((name, value.as_bool()?)))))
    }

    fn link(&self) -> Found {
        for (name, value) in self.fields.all(&LINKS) {
            let value = match value {
                // HAL's form.
                Value::Object(link) => link.get("href").or(link.get("url")).unwrap_or(value),
                value => value,
            };
            match value {
                Value::Null | Value::Bool(_) => {}
                Value::String(link) if link.trim().is_empty() => {}
                Value::String(link) if link.contains('?') => {
                    let parameters = query_of(link).ok_or_else(|| unreadable(name))?;
                    return Ok(Some(next_with(name, parameters)));
                }
                _ if name == "next_page" && integer_of_text(value).is_some() => {}
                // `next: 2` on page 1 is the number of the next page.
                Value::Number(number) => match self.fields.number(&NUMBERS) {
                    Some((_, page)) if number.as_i64() == page.checked_add(1) => {
                        return Ok(Some(next_with_one(name, "page", number)));
                    }
                    _ => return Err(no_way_on(name)),
                },
                Value::String(_) => return Err(no_way_on(name)),
                _ => return Err(unreadable(name)),
            }
        }
        match &self.progress.link {
            Some(header) => of_header(header),
            None => Ok(None),
        }
    }

    fn cursor(&self, cursors: &[(&str, &str)]) -> Found {
        for (name, parameter) in cursors {
            for (_, value) in self.fields.all(&[name]) {
                match value {
                    Value::Null => {}
                    Value::String(text) if text.is_empty() => {}
                    Value::String(text) => return Ok(Some(next_with_one(name, parameter, text))),
                    Value::Number(number) => {
                        return Ok(Some(next_with_one(name, parameter, number)));
                    }
                    _ => return Err(unreadable(name)),
                }
            }
        }
        Ok(None)
    }

    /// The next page by its number, if there is one.
    fn next_number(&self) -> Found {
        if let Some((name, number)) = self.fields.number(&NEXT_NUMBERS) {
            // On the last page, some services send 0 and some the page's own number.
            let here = self.fields.number(&NUMBERS).map_or(0, |(_, here)| here);
            if number > here {
                return Ok(Some(next_with_one(name, "page", number)));
            }
        }
        for (name, value) in self.fields.all(&LAST_NUMBERS) {
            // `pages` may be a list of pages, `last_page` a flag or a link.
            if matches!(value, Value::String(text) if !text.contains('/'))
                && integer_of_text(value).is_none()
            {
                return Err(unreadable(name));
            }
        }
        let Some((name, pages)) = self.fields.number(&LAST_NUMBERS) else {
            return Ok(None);
        };
        let here = self.number_here();
        // Pages counted from 0 end one earlier.
        let last = if self.counts_from_zero() {
            pages.saturating_sub(1)
        } else {
            pages
        };
        Ok((here < last).then(|| next_with_one(name, "page", here.saturating_add(1))))
    }

    /// The number of this page: from the answer, or else from the request.
    fn number_here(&self) -> i64 {
        let reported = self.fields.number(&NUMBERS).map(|(_, number)| number);
        reported.or_else(|| self.requested("page")).unwrap_or(1)
    }

    fn counts_from_zero(&self) -> bool {
        let first = match self.progress.asked.is_empty() {
            true => self.fields.number(&NUMBERS).map(|(_, number)| number),
            false => self.progress.first_number,
        };
        first == Some(0)
    }

    /// The number that was requested by `parameter`.
    fn requested(&self, parameter: &str) -> Option<i64> {
        let mut pairs = self.progress.asked.iter();
        pairs.find(|(name, _)| name == parameter)?.1.parse().ok()
    }

    /// The next page of a list whose flag `field` means that there is more.
    fn next_by_flag(&self, field: &str) -> Found {
        if let Some(next) = self.by_offset(field).or_else(|| self.by_number(field)) {
            return Ok(Some(next));
        }
        if let Some(next) = self.cursor(&BARE_CURSORS)? {
            return Ok(Some(next));
        }
        let last = self.last_id()?;
        // Services with other flags take no ids.
        let takes_ids =
            ["has_more", "hasMore"].contains(&field) || self.fields.all(&["last_id"]).count() > 0;
        if !takes_ids {
            return Err(no_way_on(field));
        }
        // The caller refuses an empty cursor like a repeated one.
        Ok(Some(next_with_one(
            field,
            self.paging.after,
            last.unwrap_or_default(),
        )))
    }

    /// The id of the last entry: `last_id`, or else the page's, as some services send null with a
    /// true `has_more`.
    fn last_id(&self) -> Result<Option<String>, NoPage> {
        for (name, value) in self.fields.all(&["last_id", "lastId"]) {
            match value {
                Value::Null => {}
                Value::String(id) if id.is_empty() => {}
                Value::String(id) => return Ok(Some(id.clone())),
                Value::Number(id) => return Ok(Some(id.to_string())),
                _ => return Err(unreadable(name)),
            }
        }
        let strict = self.paging.last_id_says_more && self.more()?.is_none();
        Ok(self.held.last_id.filter(|_| !strict).map(ToOwned::to_owned))
    }

    /// Whether a link or a cursor is present but empty.
    fn has_empty_link(&self) -> bool {
        let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        let cursors = CURSORS.map(|(name, _)| name);
        let mut fields = self.fields.all(&LINKS).chain(self.fields.all(&cursors));
        fields.any(|(_, value)| is_empty(value))
    }

    fn below_total(&self) -> Found {
        let received = self.received();
        let larger = |(name, value): (&'static str, i64)| (value > received).then_some(name);
        let mut larger_totals = TOTALS.iter().filter_map(|name| {
            let (_, total) = self.fields.number(&[name])?;
            larger((name, total))
        });
        let Some(field) = larger_totals.next() else {
            return Ok(None);
        };
        // No page follows an empty one.
        let next = self.by_offset(field).or_else(|| self.by_number(field));
        match next.filter(|_| self.held.count > 0) {
            Some(next) => Ok(Some(next)),
            None => Err(no_way_on(field)),
        }
    }

    /// The number of entries so far, this page's included.
    fn received(&self) -> i64 {
        i64::try_from(self.progress.before + self.held.count).unwrap_or(i64::MAX)
    }

    /// The next page by its offset, if the answer has an offset or a limit.
    fn by_offset(&self, field: &str) -> Option<Next> {
        let limit = self.fields.number(&LIMITS).filter(|(_, limit)| *limit > 0);
        let offset = self.fields.number(&OFFSETS);
        if self.fields.number(&NUMBERS).is_some() || (limit.is_none() && offset.is_none()) {
            return None;
        }
        let parameter = offset.map_or("offset", |(name, _)| name);
        let mut parameters = vec![(parameter.to_owned(), self.received().to_string())];
        parameters.extend(limit.map(|(name, limit)| (name.to_owned(), limit.to_string())));
        Some(next_with(field, parameters))
    }

    /// The next page by its number, if the answer has a number or a page size.
    fn by_number(&self, field: &str) -> Option<Next> {
        let is_numbered =
            self.fields.number(&NUMBERS).is_some() || self.fields.number(&SIZES).is_some();
        is_numbered.then(|| next_with_one(field, "page", self.number_here().saturating_add(1)))
    }

    /// The page after a full one.
    fn full_page(&self) -> Option<Next> {
        let is_full = |(_, size): &(&str, i64)| {
            *size > 0 && i64::try_from(self.held.count).is_ok_and(|count| count >= *size)
        };
        let totals = TOTALS
            .iter()
            .filter(|name| **name != "count" || !self.paging.count_is_of_page);
        let has_total = totals
            .into_iter()
            .any(|name| self.fields.number(&[name]).is_some());
        let has_offset = self.fields.number(&OFFSETS).is_some();
        let has_number = self.fields.number(&NUMBERS).is_some();
        let sizes = [&LIMITS[..], &SIZES[..]].concat();
        let (field, _) = self.fields.number(&sizes).filter(is_full)?;
        (!has_total && (has_offset || has_number))
            .then(|| self.by_offset(field).or_else(|| self.by_number(field)))?
    }
}

fn next_with(field: &str, parameters: Parameters) -> Next {
    let field = field.to_owned();
    Next { parameters, field }
}

fn next_with_one(field: &str, parameter: &str, value: impl ToString) -> Next {
    next_with(field, vec![(parameter.to_owned(), value.to_string())])
}

/// Reads a flag, also one given as a number or a text; none for `null`.
fn flag(name: &str, value: &Value) -> Result<Option<bool>, NoPage> {
    let of_text = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    };
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::String(text) => of_text(text).map(Some).ok_or_else(|| unreadable(name)),
        Value::Number(number) if number.as_i64() == Some(1) => Ok(Some(true)),
        Value::Number(number) if number.as_i64() == Some(0) => Ok(Some(false)),
        _ => Err(unreadable(name)),
    }
}

/// The error for an unreadable `name`, which could mean that there is more. A list that may be cut
/// short is a failure, never a shorter list.
fn unreadable(name: &str) -> NoPage {
    cut_short(format!(
        "`{name}` in the answer cannot be read: the list may be cut short"
    ))
}

/// The error for a `name` that means that there is more, where nothing shows how to request it.
fn no_way_on(name: &str) -> NoPage {
    cut_short(format!(
        "`{name}` in the answer promises more, but nothing shows how to request it: the list is cut short"
    ))
}

fn cut_short(message: String) -> NoPage {
    let kind = ErrorKind::Truncated;
    NoPage { kind, message }
}
