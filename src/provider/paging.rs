//! Which page is next: one reader for every envelope and one table of names. Pure.
//!
//! The promise is all pages or a failure, never a shorter list. What is read, in this order:
//!
//! 1. A flag that says that this is all (`has_more: false`) ends the list.
//! 2. A link to the next page, in the answer or in a `Link` header. Only its query counts: the host
//!    stays the configured one.
//! 3. A cursor, which goes into the parameter that belongs to its name.
//! 4. A page's number below the last one's.
//! 5. A flag that says that there is more: the next number, the next offset or the last id, whichever
//!    the answer gives something for. Otherwise the list is cut short.
//! 6. A link or a cursor that is there and empty ends the list.
//! 7. A total larger than what has come: the next offset or number. Otherwise the list is cut short.
//! 8. A page that is as full as it may be, with its offset or number: asked on until one is not.
//!
//! A wrong guess is no danger: a page that brings nothing new is refused by the caller.

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

/// What a page holds, as far as paging goes.
pub struct Held<'p> {
    /// Its entries, those included that were left out.
    pub count: usize,
    /// The id of its last entry.
    pub last_id: Option<&'p str>,
}

/// How the list API of a kind pages beyond the common names.
#[derive(Clone, Copy)]
pub struct Paging {
    /// The parameter that takes the last id.
    pub after: &'static str,
    /// Whether a list that does not say whether there is more goes on after its last id.
    pub last_id_says_more: bool,
}

/// OpenAI's, as the services understand it that page at all.
pub const AFTER: Paging = Paging {
    after: "after",
    last_id_says_more: false,
};

/// What asks for the page after the one with these `fields` beside its list; none where it is the
/// last. The page's own number comes with it.
pub fn next(
    fields: &Map<String, Value>,
    held: &Held,
    progress: &Progress,
    paging: Paging,
) -> Result<(Option<Next>, Option<i64>), NoPage> {
    let said = Said::of(fields);
    let number = said.number(&NUMBERS).map(|(_, number)| number);
    Reader {
        said,
        held,
        progress,
        paging,
    }
    .next()
    .map(|next| (next, number))
}

/// Every field that could say something, with containers opened.
struct Said<'f>(Vec<(&'f str, &'f Value)>);

impl<'f> Said<'f> {
    fn of(fields: &'f Map<String, Value>) -> Self {
        let mut said = Self(Vec::new());
        said.add(fields, 0);
        said
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

    /// The first of them that is a whole number.
    fn number(&self, names: &[&str]) -> Option<(&'f str, i64)> {
        self.all(names)
            .find_map(|(name, value)| Some((name, integer_of_text(value)?)))
    }
}

struct Reader<'r> {
    said: Said<'r>,
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
        // What a link is no help for, a cursor or a number may be one for.
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
            return self.on(field);
        }
        if self.says_end() {
            return Ok(None);
        }
        if let Some(next) = self.below_total()? {
            return Ok(Some(next));
        }
        if self.paging.last_id_says_more && self.held.count > 0 {
            let last = self.last_id()?;
            return Ok(last.map(|last| one("last_id", self.paging.after, last)));
        }
        Ok(self.full_page())
    }

    /// Whether there is more, and the field that says so: the first that says yes, or else no.
    fn more(&self) -> Result<Option<(&str, bool)>, NoPage> {
        let mut said = None;
        for (names, is_more) in [(&MORE[..], true), (&LAST[..], false)] {
            for (name, value) in self.said.all(names) {
                // Links and numbers have these names too.
                let is_flag = !["last", "more"].contains(&name) || value.is_boolean();
                match flag(name, value) {
                    Ok(Some(flag)) if is_flag && flag == is_more => return Ok(Some((name, true))),
                    Ok(Some(_)) if is_flag => said = said.or(Some((name, false))),
                    Err(error) if is_flag => return Err(error),
                    _ => {}
                }
            }
        }
        // `next_page` is a flag at some.
        let mut flags = self.said.all(&["next", "next_page"]);
        Ok(said.or_else(|| flags.find_map(|(name, value)| Some((name, value.as_bool()?)))))
    }

    fn link(&self) -> Found {
        for (name, value) in self.said.all(&LINKS) {
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
                    return Ok(Some(by(name, parameters)));
                }
                _ if name == "next_page" && integer_of_text(value).is_some() => {}
                // `next: 2` on page 1 is the number of the page.
                Value::Number(number) => match self.said.number(&NUMBERS) {
                    Some((_, page)) if number.as_i64() == page.checked_add(1) => {
                        return Ok(Some(one(name, "page", number)));
                    }
                    _ => return Err(no_way(name)),
                },
                Value::String(_) => return Err(no_way(name)),
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
            for (_, value) in self.said.all(&[name]) {
                match value {
                    Value::Null => {}
                    Value::String(text) if text.is_empty() => {}
                    Value::String(text) => return Ok(Some(one(name, parameter, text))),
                    Value::Number(number) => return Ok(Some(one(name, parameter, number))),
                    _ => return Err(unreadable(name)),
                }
            }
        }
        Ok(None)
    }

    /// The page after this one by its number, where there is one.
    fn next_number(&self) -> Found {
        if let Some((name, number)) = self.said.number(&NEXT_NUMBERS) {
            // Some say 0 on the last page, some the number of the page itself.
            let here = self.said.number(&NUMBERS).map_or(0, |(_, here)| here);
            if number > here {
                return Ok(Some(one(name, "page", number)));
            }
        }
        for (name, value) in self.said.all(&LAST_NUMBERS) {
            // `pages` may be a list of them, `last_page` a flag or a link.
            if matches!(value, Value::String(text) if !text.contains('/'))
                && integer_of_text(value).is_none()
            {
                return Err(unreadable(name));
            }
        }
        let Some((name, pages)) = self.said.number(&LAST_NUMBERS) else {
            return Ok(None);
        };
        let here = self.number_here();
        // Pages counted from 0 end one earlier.
        let last = if self.counts_from_zero() {
            pages.saturating_sub(1)
        } else {
            pages
        };
        Ok((here < last).then(|| one(name, "page", here.saturating_add(1))))
    }

    /// The number of this page: its own word, or what it was asked with.
    fn number_here(&self) -> i64 {
        let said = self.said.number(&NUMBERS).map(|(_, number)| number);
        said.or_else(|| self.asked("page")).unwrap_or(1)
    }

    fn counts_from_zero(&self) -> bool {
        let first = match self.progress.asked.is_empty() {
            true => self.said.number(&NUMBERS).map(|(_, number)| number),
            false => self.progress.first_number,
        };
        first == Some(0)
    }

    fn asked(&self, parameter: &str) -> Option<i64> {
        let mut asked = self.progress.asked.iter();
        asked.find(|(name, _)| name == parameter)?.1.parse().ok()
    }

    /// The next page of a list that says by `field` that there is more.
    fn on(&self, field: &str) -> Found {
        if let Some(next) = self.by_offset(field).or_else(|| self.by_number(field)) {
            return Ok(Some(next));
        }
        if let Some(next) = self.cursor(&BARE_CURSORS)? {
            return Ok(Some(next));
        }
        let last = self.last_id()?;
        // Beside other flags nobody takes ids.
        let takes_ids =
            ["has_more", "hasMore"].contains(&field) || self.said.all(&["last_id"]).count() > 0;
        if !takes_ids {
            return Err(no_way(field));
        }
        // An empty cursor is refused as a repeated one.
        Ok(Some(one(
            field,
            self.paging.after,
            last.unwrap_or_default(),
        )))
    }

    /// The id of the last entry: `last_id`, which has been seen null with `has_more` true.
    fn last_id(&self) -> Result<Option<String>, NoPage> {
        for (name, value) in self.said.all(&["last_id", "lastId"]) {
            match value {
                Value::Null => {}
                Value::String(id) if id.is_empty() => {}
                Value::String(id) => return Ok(Some(id.clone())),
                Value::Number(id) => return Ok(Some(id.to_string())),
                _ => return Err(unreadable(name)),
            }
        }
        let says = self.paging.last_id_says_more && self.more()?.is_none();
        Ok(self.held.last_id.filter(|_| !says).map(ToOwned::to_owned))
    }

    /// Whether a link or a cursor is there and empty.
    fn says_end(&self) -> bool {
        let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        let cursors = CURSORS.map(|(name, _)| name);
        let mut fields = self.said.all(&LINKS).chain(self.said.all(&cursors));
        fields.any(|(_, value)| is_empty(value))
    }

    fn below_total(&self) -> Found {
        let came = self.came();
        let larger = |(name, value): (&'static str, i64)| (value > came).then_some(name);
        let mut larger_totals = TOTALS.iter().filter_map(|name| {
            let (_, total) = self.said.number(&[name])?;
            larger((name, total))
        });
        let Some(field) = larger_totals.next() else {
            return Ok(None);
        };
        // An empty page will not be followed by others.
        let next = self.by_offset(field).or_else(|| self.by_number(field));
        match next.filter(|_| self.held.count > 0) {
            Some(next) => Ok(Some(next)),
            None => Err(no_way(field)),
        }
    }

    /// How many entries have come, this page's included.
    fn came(&self) -> i64 {
        i64::try_from(self.progress.before + self.held.count).unwrap_or(i64::MAX)
    }

    /// The next page by its offset, where the answer gives an offset or a limit.
    fn by_offset(&self, field: &str) -> Option<Next> {
        let limit = self.said.number(&LIMITS).filter(|(_, limit)| *limit > 0);
        let offset = self.said.number(&OFFSETS);
        if self.said.number(&NUMBERS).is_some() || (limit.is_none() && offset.is_none()) {
            return None;
        }
        let parameter = offset.map_or("offset", |(name, _)| name);
        let mut parameters = vec![(parameter.to_owned(), self.came().to_string())];
        parameters.extend(limit.map(|(name, limit)| (name.to_owned(), limit.to_string())));
        Some(by(field, parameters))
    }

    /// The next page by its number, where the answer gives a number or a page's size.
    fn by_number(&self, field: &str) -> Option<Next> {
        let is_numbered =
            self.said.number(&NUMBERS).is_some() || self.said.number(&SIZES).is_some();
        is_numbered.then(|| one(field, "page", self.number_here().saturating_add(1)))
    }

    /// The page after one that is as full as it may be.
    fn full_page(&self) -> Option<Next> {
        let is_full = |(_, size): &(&str, i64)| {
            *size > 0 && i64::try_from(self.held.count).is_ok_and(|count| count >= *size)
        };
        let says_total = self.said.number(&TOTALS).is_some();
        let has_offset = self.said.number(&OFFSETS).is_some();
        let has_number = self.said.number(&NUMBERS).is_some();
        let sizes = [&LIMITS[..], &SIZES[..]].concat();
        let (field, _) = self.said.number(&sizes).filter(is_full)?;
        (!says_total && (has_offset || has_number))
            .then(|| self.by_offset(field).or_else(|| self.by_number(field)))?
    }
}

fn by(field: &str, parameters: Parameters) -> Next {
    let field = field.to_owned();
    Next { parameters, field }
}

fn one(field: &str, parameter: &str, value: impl ToString) -> Next {
    by(field, vec![(parameter.to_owned(), value.to_string())])
}

/// A flag, also where it is given as a number or a text; none when `null`.
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

/// `name`, by which the list may tell that it goes on, has no readable form. A list that may be cut
/// short is a failure, never a shorter list.
fn unreadable(name: &str) -> NoPage {
    cut_short(format!(
        "`{name}` in the answer cannot be read: the list may be cut short"
    ))
}

/// `name` says that there is more, and nothing says how to ask for it.
fn no_way(name: &str) -> NoPage {
    cut_short(format!(
        "`{name}` in the answer says that there is more, and nothing how to ask for it: the list is cut short"
    ))
}

fn cut_short(message: String) -> NoPage {
    let kind = ErrorKind::Truncated;
    NoPage { kind, message }
}
