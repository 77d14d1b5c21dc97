//! Joins the pages of one listing and decides after each whether another follows. Pure.
//!
//! A listing has all its pages or fails: a page that leads to no new page or adds no new entry
//! means that the list is incomplete, whatever its other fields state.

use std::collections::HashSet;

use super::{
    page::{MAX_MODELS, Page, too_many},
    progress::{Parameters, Progress},
};
use crate::model::{
    fetch::{ErrorKind, FetchError},
    listing::Listing,
};

/// The most pages in one listing.
const MAX_PAGES: usize = 100;

/// A listing whose pages are being read.
#[derive(Default)]
pub struct Gathering {
    /// The pages so far, joined.
    pub listing: Listing,
    /// The state for reading the next page.
    pub progress: Progress,
    /// The usable ids of the current list.
    known: HashSet<String>,
    /// Those of the lists before it.
    known_before: HashSet<String>,
    /// Skipped entries of the lists before it.
    skipped_before: usize,
    requested: HashSet<Parameters>,
}

impl Gathering {
    /// Adds the requested page. Returns whether another follows; `progress` then has its
    /// parameters.
    pub fn add(&mut self, page: Page) -> Result<bool, FetchError> {
        let listing = &mut self.listing;
        listing.pages += 1;
        self.progress.before += page.count();
        let is_first = self.progress.asked.is_empty();
        if is_first {
            self.progress.first_number = page.number;
        }
        let (count_before, is_empty) = (self.known.len(), page.entries.is_empty());
        listing.skipped.add(page.skipped);
        // Some services list an id twice; the first entry counts.
        let new = page.entries.into_iter().filter(|entry| {
            self.known.insert(entry.id.clone()) && !self.known_before.contains(&entry.id)
        });
        listing.entries.extend(new);

        if self.progress.before > MAX_MODELS {
            return Err(self.failure(ErrorKind::TooLarge, too_many()));
        }
        if !is_first && !is_empty && self.known.len() == count_before {
            let message = format!(
                "page {} of the list repeats what came before{}",
                self.listing.pages,
                hint(&self.progress.asked)
            );
            return Err(self.failure(ErrorKind::Truncated, message));
        }
        let Some(next) = page.next else {
            let skipped = &self.listing.skipped;
            if !self.known.is_empty() || skipped.count == self.skipped_before {
                return Ok(false);
            }
            let why = skipped.examples.first().map_or("", |first| &first.why);
            let message = format!("no entry of the list has a usable id; the first: {why}");
            return Err(self.failure(ErrorKind::Malformed, message));
        };
        let leads_nowhere = next.parameters.iter().all(|(_, value)| value.is_empty());
        if leads_nowhere || !self.requested.insert(next.parameters.clone()) {
            let message = format!(
                "`{}` promises another page, but leads to no new one{}",
                next.field,
                hint(&next.parameters)
            );
            return Err(self.failure(ErrorKind::Truncated, message));
        }
        if self.listing.pages == MAX_PAGES {
            let message = format!("the list does not end within {MAX_PAGES} pages");
            return Err(self.failure(ErrorKind::Truncated, message));
        }
        self.progress.asked = next.parameters;
        Ok(true)
    }

    /// Continues with the first page of another list from the same server, which may repeat ids.
    pub fn begin_another_list(&mut self) {
        self.progress = Progress {
            sent_at: self.progress.sent_at,
            ..Progress::default()
        };
        self.requested.clear();
        self.known_before.extend(self.known.drain());
        self.skipped_before = self.listing.skipped.count;
    }

    fn failure(&self, kind: ErrorKind, message: String) -> FetchError {
        FetchError {
            pages: self.listing.pages,
            http_status: Some(200),
            ..FetchError::new(kind, message)
        }
    }
}

/// What to try when a request with `parameters` returns no new page.
fn hint(parameters: &[(String, String)]) -> &'static str {
    match parameters {
        [(name, _)] if name == "after" => {
            ": if the server takes only after_id, set kind = \"anthropic\""
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::provider::{
        openai,
        paging::names::{CONTAINERS, CURSORS, LAST_NUMBERS, LINKS, MORE, NUMBERS, TOTALS},
    };

    fn page(ids: &[&str], skipped: usize, next: Option<&str>) -> Page {
        let body = json!({"data": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
        let page = (openai::API.parse)(body.to_string().as_bytes(), &Progress::default());
        let mut page = page.expect("a page");
        for _ in 0..skipped {
            page.skipped.push("x", "no id");
        }
        page.next = next.map(|cursor| super::super::progress::Next {
            parameters: vec![("after".to_owned(), cursor.to_owned())],
            field: "next_cursor".to_owned(),
        });
        page
    }

    #[test]
    fn another_list_may_repeat_ids_and_is_checked_by_itself() {
        let mut gathering = Gathering::default();
        assert!(!gathering.add(page(&["a", "b"], 1, None)).expect("fine"));
        gathering.begin_another_list();
        assert!(gathering.add(page(&["c"], 0, Some("1"))).expect("fine"));
        // New in this list, though not in all.
        assert!(!gathering.add(page(&["a"], 0, None)).expect("fine"));
        let listed: Vec<&str> = gathering
            .listing
            .entries
            .iter()
            .map(|entry| entry.id.as_str())
            .collect();
        assert_eq!(listed, ["a", "b", "c"]);

        gathering.begin_another_list();
        let error = gathering.add(page(&[], 2, None)).expect_err("no usable id");
        assert_eq!(error.kind, ErrorKind::Malformed);

        let mut gathering = Gathering::default();
        gathering.add(page(&["a"], 0, None)).expect("fine");
        gathering.begin_another_list();
        assert!(
            !gathering
                .add(page(&[], 0, None))
                .expect("an empty list is fine")
        );
    }

    /// One way to say where the next page is.
    #[derive(Clone, Debug)]
    enum Way {
        Link(&'static str),
        Header,
        Cursor(&'static str),
        Numbers(&'static str, &'static str),
        NextNumber,
        Offset(&'static str),
        Flag(&'static str),
        Total(&'static str),
        Size,
    }

    impl Way {
        /// Whether it says how to ask for the next page, and not only that there is one.
        fn says_how(&self) -> bool {
            !matches!(self, Self::Flag(_) | Self::Total(_) | Self::Size)
        }
    }

    fn way() -> impl Strategy<Value = Way> {
        use prop::sample::select;
        prop_oneof![
            select(&LINKS[..]).prop_map(Way::Link),
            Just(Way::Header),
            select(&CURSORS[..]).prop_map(|(name, _)| Way::Cursor(name)),
            (select(&NUMBERS[..]), select(&LAST_NUMBERS[..]))
                .prop_map(|(number, last)| Way::Numbers(number, last)),
            Just(Way::NextNumber),
            select(&TOTALS[..]).prop_map(Way::Offset),
            select(&MORE[..]).prop_map(Way::Flag),
            select(&TOTALS[..]).prop_map(Way::Total),
            Just(Way::Size),
        ]
    }

    /// A server of pages, which says in some ways where the next one is.
    #[derive(Clone, Debug)]
    struct Server {
        models: usize,
        size: usize,
        ways: Vec<Way>,
        container: Option<&'static str>,
        /// What stands for no link and no cursor.
        end: Option<Value>,
        junk: Map<String, Value>,
        /// Whether it takes parameters at all.
        listens: bool,
    }

    fn server() -> impl Strategy<Value = Server> {
        let ends = vec![None, Some(json!(null)), Some(json!(""))];
        (
            0..14_usize,
            1..6_usize,
            prop::collection::vec(way(), 1..4),
            prop::option::of(prop::sample::select(&CONTAINERS[..])),
            prop::sample::select(ends),
            prop::collection::btree_map("junk_[a-z]{1,4}", any::<i16>(), 0..4),
            prop::bool::weighted(0.8),
        )
            .prop_map(
                |(models, size, ways, container, end, junk, listens)| Server {
                    models,
                    size,
                    ways,
                    container,
                    end,
                    junk: junk
                        .into_iter()
                        .map(|(name, junk)| (name, junk.into()))
                        .collect(),
                    listens,
                },
            )
    }

    impl Server {
        /// Where the page begins that is asked for.
        fn start(&self, asked: &Parameters) -> usize {
            let number = |text: &str| text.parse::<usize>().expect("a number of ours");
            let asked = asked.iter().rev().filter(|_| self.listens);
            let mut starts = asked.filter_map(|(name, value)| match name.as_str() {
                "limit" => None,
                "page" => Some((number(value) - 1) * self.size),
                _ => match value.strip_prefix("m-") {
                    Some(id) => Some(number(id) + 1),
                    None => Some(number(value)),
                },
            });
            starts.next().unwrap_or(0)
        }

        fn answer(&self, asked: &Parameters) -> (String, Option<String>) {
            let start = self.start(asked).min(self.models);
            let end = (start + self.size).min(self.models);
            let (is_more, page) = (end < self.models, start / self.size + 1);
            let mut fields = Map::new();
            let mut header = None;
            for way in &self.ways {
                let mut say = |name: &str, value: Option<Value>| {
                    fields.extend(value.map(|value| (name.to_owned(), value)));
                };
                let link = format!("https://other.invalid/m?page={}", page + 1);
                let or_end = |value: Value| {
                    if is_more {
                        Some(value)
                    } else {
                        self.end.clone()
                    }
                };
                match way {
                    Way::Link(name) => say(name, or_end(json!(link))),
                    Way::Header => {
                        let rel = if is_more { "next" } else { "last" };
                        header = Some(format!("<{link}>; rel=\"{rel}\""));
                    }
                    Way::Cursor(name) => say(name, or_end(json!(end.to_string()))),
                    Way::Numbers(number, last) => {
                        say(number, Some(json!(page)));
                        say(last, Some(json!(self.models.div_ceil(self.size).max(1))));
                    }
                    Way::NextNumber => say("nextPage", or_end(json!(page + 1))),
                    Way::Offset(total) => {
                        say("offset", Some(json!(start)));
                        say("limit", Some(json!(self.size)));
                        say(total, Some(json!(self.models)));
                    }
                    Way::Flag(name) => say(name, Some(json!(is_more))),
                    Way::Total(name) => say(name, Some(json!(self.models))),
                    Way::Size => {
                        say("page_size", Some(json!(self.size)));
                        say("total", Some(json!(self.models)));
                    }
                }
            }
            let data: Value = (start..end)
                .map(|id| json!({"id": format!("m-{id}")}))
                .collect();
            let mut body = self.junk.clone();
            match self.container {
                Some(container) => drop(body.insert(container.to_owned(), fields.into())),
                None => body.extend(fields),
            }
            body.insert("data".to_owned(), data);
            (Value::Object(body).to_string(), header)
        }

        /// Its list as it is gathered here, or why it is none.
        fn gather(&self) -> Result<Listing, String> {
            let mut gathering = Gathering::default();
            loop {
                let (body, link) = self.answer(&gathering.progress.asked);
                gathering.progress.link = link;
                let page = (openai::API.parse)(body.as_bytes(), &gathering.progress)
                    .map_err(|no_page| no_page.message)?;
                if !gathering.add(page).map_err(|error| error.message)? {
                    return Ok(gathering.listing);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn all_pages_or_a_failure(server in server()) {
            match server.gather() {
                Ok(listing) => {
                    let ids: Vec<&str> = listing.entries.iter().map(|entry| entry.id.as_str()).collect();
                    let all: Vec<String> = (0..server.models).map(|id| format!("m-{id}")).collect();
                    prop_assert_eq!(ids, all);
                }
                Err(message) => {
                    let may_fail = !server.listens || !server.ways.iter().any(Way::says_how);
                    prop_assert!(may_fail, "{}", message);
                    prop_assert!(server.models > server.size, "one page: {}", message);
                }
            }
        }
    }
}
