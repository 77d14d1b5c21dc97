//! Paging and filter parameters of a request for models, in each dialect. Pure.

use super::{error::ApiError, request::parameters};
use crate::{
    model::{lifecycle::Stage, time::Timestamp},
    snapshot::{
        dialect::Dialect,
        page::Page,
        view::{ModelView, Place},
    },
};

/// The requested part of a list. Parameters that the dialect does not define are ignored.
#[derive(Debug, Default)]
pub struct PageRequest {
    /// The models start after this id.
    after: Option<String>,
    /// The models end before this id.
    before: Option<String>,
    /// Page size; none for everything.
    size: Option<usize>,
    /// Requested stages of life; none for all.
    stages: Option<Vec<Stage>>,
}

/// The largest page of Anthropic and Google, and their default pages, in models.
const MAX_SIZE: usize = 1000;
const ANTHROPIC_SIZE: usize = 20;
const GEMINI_SIZE: usize = 50;

impl PageRequest {
    /// Parses `query`. Fails on a value that the dialect's own API would refuse.
    pub fn of(query: Option<&str>, dialect: Dialect) -> Result<Self, ApiError> {
        let all = |name: &str| -> Vec<String> {
            parameters(query)
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .collect()
        };
        // The last value wins, as in most servers.
        let find = |name: &str| all(name).pop();
        match dialect {
            Dialect::OpenAi => {
                // OpenAI's own list has no parameters, so an invalid limit is ignored.
                let size = find("limit").and_then(|limit| limit.parse().ok());
                // Clients of other lists request their largest page and expect everything.
                let after = find("after");
                let size = size.filter(|size| (1..MAX_SIZE).contains(size) || after.is_some());
                let size = size.filter(|size| *size > 0);
                Ok(Self {
                    after: after.filter(|_| size.is_some()),
                    size,
                    ..Self::default()
                })
            }
            Dialect::Anthropic => {
                let size = match find("limit").map(|limit| limit.parse()) {
                    None => ANTHROPIC_SIZE,
                    Some(Ok(size @ 1..=MAX_SIZE)) => size,
                    Some(_) => {
                        let message = format!("limit= must be a number from 1 to {MAX_SIZE}.");
                        return Err(ApiError::bad("invalid_limit", message));
                    }
                };
                let (after, before) = (find("after_id"), find("before_id"));
                if after.is_some() && before.is_some() {
                    return Err(ApiError::bad(
                        "invalid_parameter",
                        "after_id= and before_id= cannot be combined: use one of them.",
                    ));
                }
                let stage = |word: &String| {
                    Stage::ALL
                        .into_iter()
                        .find(|stage| stage.as_str() == word)
                        .ok_or_else(|| {
                            ApiError::bad(
                                "invalid_lifecycle",
                                "lifecycle[]= must be active, deprecated or retired; it may be given several times.",
                            )
                        })
                };
                let words = all("lifecycle[]");
                let stages = words.iter().map(stage).collect::<Result<Vec<_>, _>>()?;
                Ok(Self {
                    after,
                    before,
                    size: Some(size),
                    stages: Some(match stages.is_empty() {
                        true => vec![Stage::Active, Stage::Deprecated],
                        false => stages,
                    }),
                })
            }
            Dialect::Gemini => {
                let size = match find("pageSize").map(|size| size.parse()) {
                    None | Some(Ok(0)) => GEMINI_SIZE,
                    Some(Ok(size)) => MAX_SIZE.min(size),
                    Some(Err(_)) => {
                        return Err(ApiError::bad(
                            "invalid_page_size",
                            "pageSize= must be a whole number from 0.",
                        ));
                    }
                };
                Ok(Self {
                    after: find("pageToken"),
                    size: Some(size),
                    ..Self::default()
                })
            }
            Dialect::Ollama => Ok(Self::default()),
        }
    }

    /// Whether the request is for the whole list.
    pub fn is_whole(&self) -> bool {
        self.size.is_none()
    }

    /// Whether `model` is in one of the requested stages at `now`.
    pub fn has(&self, model: &ModelView, now: Timestamp) -> bool {
        let stages = self.stages.as_ref();
        stages.is_none_or(|stages| stages.contains(&Stage::of(&model.row.attributes, now)))
    }

    /// The id at which the page begins or ends; none for the first page.
    pub fn cursor(&self) -> Option<&str> {
        self.before.as_deref().or(self.after.as_deref())
    }

    /// The requested page of `list`, given the place of the cursor.
    pub fn page<'a>(&self, list: &'a [ModelView<'a>], cursor: Option<Place>) -> Page<'a> {
        let size = self.size.unwrap_or(usize::MAX);
        match cursor.filter(|_| self.before.is_some()) {
            Some(before) => Page::before(list, before, size),
            None => Page::after(list, cursor, size),
        }
    }
}
