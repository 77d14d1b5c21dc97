//! What the address of the page of models says. Pure.

use axum::http::Uri;
use url::form_urlencoded;

use crate::{
    api::{error::ApiError, request::parameters},
    snapshot::selection::Selection,
    web::{address::query, visit::When},
};

/// The limits that the filter by context offers, in tokens.
pub const CONTEXTS: &[&str] = &["8000", "32000", "128000", "200000", "1000000"];

/// The filters that are those of the list itself.
const LIST_FILTERS: [&str; 4] = ["provider", "capability", "modality", "lifecycle"];

/// The filters, the order and the page.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// What was typed.
    pub search: String,
    /// The words of it, in lower case.
    pub words: Vec<String>,
    /// The source; empty for all, like the filters below.
    pub provider: String,
    /// The capability, in lower case.
    pub capability: String,
    /// The modality, in lower case.
    pub modality: String,
    /// The stage of its life.
    pub lifecycle: String,
    /// The smallest context window, in tokens.
    pub context: String,
    /// The same as a number.
    pub min_context: Option<i64>,
    /// The order, as the address has it.
    pub sort: String,
    /// The page, from 0.
    pub page: usize,
    /// The filters of the list, but for the source.
    pub selection: Selection,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The whole id.
    Id,
    /// The sources.
    Source,
    /// The display name.
    Name,
    /// The context window.
    Context,
    /// The output limit.
    Output,
    /// The prices, in their source's own units.
    Price,
    /// When it was first listed.
    FirstSeen,
    /// When or that it ends.
    End,
}

impl Column {
    /// The columns, from left to right.
    pub const ALL: [Self; 8] = [
        Self::Id,
        Self::Source,
        Self::Name,
        Self::Context,
        Self::Output,
        Self::Price,
        Self::FirstSeen,
        Self::End,
    ];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Source => "source",
            Self::Name => "name",
            Self::Context => "context",
            Self::Output => "output",
            Self::Price => "price",
            Self::FirstSeen => "first-seen",
            Self::End => "end",
        }
    }

    /// Its name on the page.
    pub fn label(self) -> &'static str {
        match self {
            Self::Id => "Model",
            Self::Source => "Source",
            Self::Name => "Name",
            Self::Context => "Context",
            Self::Output => "Output",
            Self::Price => "Price",
            Self::FirstSeen => "First seen",
            Self::End => "End",
        }
    }

    /// Whether models can be in its order. Prices are in the units of their sources: no order of them is
    /// true.
    pub fn is_sortable(self) -> bool {
        self != Self::Price
    }

    /// Whether it holds numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Context | Self::Output)
    }

    /// Whether the first click on it puts the largest value on top.
    pub fn begins_with_largest(self) -> bool {
        matches!(self, Self::Context | Self::Output | Self::FirstSeen)
    }
}

impl Query {
    /// Reads the address. Fails on a filter that cannot be understood.
    pub fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut query = Self::default();
        let mut filters = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters(uri.query()) {
            let lower = || value.trim().to_lowercase();
            match &*name {
                "q" => query.search = value.trim().to_owned(),
                "provider" => query.provider = value.trim().to_owned(),
                "capability" => join(&mut query.capability, &lower()),
                "modality" => join(&mut query.modality, &lower()),
                "lifecycle" => join(&mut query.lifecycle, &lower()),
                "context" => query.context = value.trim().to_owned(),
                "sort" => query.sort = value.trim().to_owned(),
                "page" => query.page = value.parse().unwrap_or(0),
                _ => {}
            }
            if LIST_FILTERS.contains(&&*name) && name != "provider" {
                filters.append_pair(&name, &value);
            }
        }
        let words = query.search.split_whitespace();
        query.words = words.map(str::to_lowercase).collect();
        query.selection = Selection::parse(Some(&filters.finish()))?;
        if !query.context.is_empty() {
            let tokens = query.context.parse().map_err(|_| {
                ApiError::bad(
                    "invalid_parameter",
                    "context= must be a number of tokens, such as 128000.",
                )
            })?;
            query.min_context = Some(tokens);
        }
        Ok(query)
    }

    /// The column to sort by, and whether the largest comes first.
    pub fn order(&self) -> (Column, bool) {
        let (name, is_descending) = match self.sort.strip_prefix('-') {
            Some(name) => (name, true),
            None => (self.sort.as_str(), false),
        };
        let mut columns = Column::ALL
            .into_iter()
            .filter(|column| column.is_sortable());
        match columns.find(|column| column.name() == name) {
            Some(column) => (column, is_descending),
            None => (Column::Id, false),
        }
    }

    /// Whether the order is that of the list: nothing says otherwise.
    pub fn is_in_list_order(&self) -> bool {
        self.sort.is_empty()
    }

    /// Whether it leaves out any model.
    pub fn is_filtered(&self) -> bool {
        let filters = [
            &self.search,
            &self.provider,
            &self.capability,
            &self.modality,
            &self.lifecycle,
            &self.context,
        ];
        filters.iter().any(|filter| !filter.is_empty())
    }

    /// A link to the same with other `changes`; the first page unless they say otherwise.
    pub fn href(&self, changes: &[(&str, &str)], when: &When) -> String {
        let own = [
            ("q", self.search.as_str()),
            ("provider", &self.provider),
            ("capability", &self.capability),
            ("modality", &self.modality),
            ("lifecycle", &self.lifecycle),
            ("context", &self.context),
            ("sort", &self.sort),
            ("page", ""),
            ("at", &when.text),
        ];
        let value = |(name, value)| {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            (name, changed.map_or(value, |(_, value)| *value))
        };
        format!("/{}", query(own.into_iter().map(value)))
    }
}

/// Adds `value` to the `values` of a filter: any of them will do.
fn join(values: &mut String, value: &str) {
    if !values.is_empty() {
        values.push(',');
    }
    values.push_str(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(uri: &str) -> Query {
        Query::of(&uri.parse().expect("a URI")).expect("usable")
    }

    fn now() -> When {
        When {
            text: String::new(),
            past: None,
        }
    }

    #[test]
    fn links_keep_everything_but_the_page() {
        let query = parsed("/?q=Big+GPT&provider=openai&capability=Tools&sort=-context&page=3&x=1");
        assert_eq!(query.words, ["big", "gpt"]);
        assert_eq!(query.page, 3);
        assert_eq!(query.order(), (Column::Context, true));
        assert_eq!(
            query.href(&[("provider", "")], &now()),
            "/?q=Big+GPT&capability=tools&sort=-context"
        );
        assert_eq!(
            query.href(&[("page", "4")], &now()),
            "/?q=Big+GPT&provider=openai&capability=tools&sort=-context&page=4"
        );
    }

    #[test]
    fn what_means_nothing_is_left_out() {
        let query = parsed("/?q=&provider=+&sort=price&page=x");
        assert!(!query.is_filtered());
        assert_eq!(query.order(), (Column::Id, false));
        assert_eq!(parsed("/").href(&[], &now()), "/");
        assert!(Query::of(&"/?context=big".parse().expect("a URI")).is_err());
    }
}
