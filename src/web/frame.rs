//! What all pages have around their content: the tabs, the date that is looked at, who has signed in.

use askama::Template;

use super::{
    address::{query, sign_in_path},
    assets,
    markup::Time,
    visit::{Visit, When},
};
use crate::api::{error::ApiError, request::parameters, session};

/// The parameters of a page that mean nothing at another moment, or say what has just happened. `key` may
/// be a secret.
const NOT_KEPT: [&str; 6] = ["at", "page", "before", "asked", "outcome", "key"];

/// What stands around the content of a page.
pub struct Frame {
    /// The title of the window.
    pub title: String,
    /// The path of the tab that the page belongs to; empty for none.
    pub tab: &'static str,
    /// The moment that the page shows.
    pub when: When,
    /// Whether there is a date control.
    pub has_date: bool,
    /// The day that the date control shows: `2026-11-20`; empty for now.
    pub day: String,
    /// The last day that can be chosen.
    pub today: String,
    /// The moment, if it is past.
    pub past: Option<Time>,
    /// The revision that the page shows.
    pub revision: i64,
    /// Where the date control leads to.
    pub path: String,
    /// The other parameters of the page.
    pub kept: Vec<(String, String)>,
    /// The same page without a date.
    pub now: String,
    /// The address of the page to sign in on.
    pub sign_in: String,
    /// Whether there are keys to sign in with.
    pub has_keys: bool,
    /// The name of the key that was signed in with.
    pub signed_in: Option<String>,
    /// Names the content of the assets.
    pub assets: &'static str,
}

impl Frame {
    /// The frame of the page of `visit`, which shows `revision`.
    pub fn new(visit: &Visit, title: &str, tab: &'static str, revision: i64) -> Self {
        let Visit {
            catalog,
            uri,
            headers,
            when,
            ..
        } = visit;
        let now = visit.now;
        let in_force = catalog.in_force();
        let keys = &in_force.keys;
        let signed_in = session::holder(keys, headers, now);
        let kept: Vec<(String, String)> = parameters(uri.query())
            .filter(|(name, _)| !NOT_KEPT.contains(&&**name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        fn pair((name, value): &(String, String)) -> (&str, &str) {
            (name, value)
        }
        Self {
            title: title.to_owned(),
            tab,
            has_date: true,
            day: when
                .past
                .map_or_else(String::new, |at| at.date().to_string()),
            today: now.date().to_string(),
            past: when.past.map(Time::minute),
            when: when.clone(),
            revision,
            path: uri.path().to_owned(),
            now: format!("{}{}", uri.path(), query(kept.iter().map(pair))),
            sign_in: sign_in_path(uri),
            kept,
            has_keys: keys.are_needed() || keys.has_admin(),
            signed_in: signed_in.map(|holder| holder.name().trim_start_matches('@').to_owned()),
            assets: assets::version(),
        }
    }

    /// The same without a moment.
    pub fn without_date(self) -> Self {
        Self {
            has_date: false,
            past: None,
            when: When {
                text: String::new(),
                past: None,
            },
            ..self
        }
    }

    /// Whether the moment is the end of a day, rather than a time of it.
    pub fn is_whole_day(&self) -> bool {
        self.when.text == self.day
    }

    /// Whether the page says when something has changed.
    pub fn is_live(&self) -> bool {
        !self.path.is_empty() && self.past.is_none()
    }

    /// A frame that tells nothing of the catalog.
    pub fn closed(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            tab: "",
            has_date: false,
            when: When {
                text: String::new(),
                past: None,
            },
            day: String::new(),
            today: String::new(),
            past: None,
            revision: 0,
            path: String::new(),
            now: String::new(),
            sign_in: String::new(),
            kept: Vec::new(),
            has_keys: false,
            signed_in: None,
            assets: assets::version(),
        }
    }
}

/// Writes a page. Fails only if a value cannot be written, which only a bug can cause.
pub fn write(page: &impl Template) -> Result<String, ApiError> {
    page.render().map_err(|error| ApiError::unwritable(&error))
}

/// A page that says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    frame: Frame,
    title: &'static str,
    message: String,
}

impl ErrorPage {
    /// The page about `error`.
    pub fn of(error: &ApiError) -> Self {
        let title = match error.status().as_u16() {
            404 => "Not found",
            403 => "Not allowed",
            410 => "No longer kept",
            400..500 => "This cannot be shown",
            _ => "Not at the moment",
        };
        Self {
            frame: Frame::closed(title),
            title,
            message: error.message().to_owned(),
        }
    }

    /// Its HTML.
    pub fn render(&self) -> String {
        Template::render(self).unwrap_or_else(|_| self.title.to_owned())
    }
}
