//! The models that a query finds, in its order, and their rows. Pure.

use std::{cmp::Reverse, collections::BTreeMap};

use serde_json::{Map, Value};

use super::query::{Column, Query};
use crate::{
    api::error::ApiError,
    model::{lifecycle::Stage, source::SourceName, state::SourceState, time::Timestamp},
    snapshot::{Snapshot, merge::ServedModel, parts::Restriction},
    store::charts::FirstSeen,
    web::{
        markup::{Time, model_path, names, number, until, value},
        visit::When,
    },
};

/// What a query finds.
pub struct Found<'a> {
    snapshot: &'a Snapshot,
    first_seen: &'a FirstSeen,
    /// The models, in the order of the query.
    pub models: Vec<&'a ServedModel>,
    /// How many there would be of each source.
    pub by_source: BTreeMap<&'a SourceName, i64>,
    /// How many there would be of all sources.
    pub of_all_sources: i64,
}

/// A row of the table.
pub struct Row {
    /// The whole id.
    pub id: String,
    /// The address of its page.
    pub href: String,
    /// The sources that list it.
    pub sources: String,
    /// Whether it is on an own server.
    pub is_local: bool,
    /// The display name, if it says more than the id.
    pub name: String,
    /// The context window, in tokens.
    pub context: String,
    /// The output limit, in tokens.
    pub output: String,
    /// The prices of input and output, as its source writes them; of anything else if it has no such.
    pub price: String,
    /// All its prices.
    pub prices: String,
    /// When it was first listed.
    pub first_seen: Option<Time>,
    /// What is known of its end.
    pub end: Option<End>,
}

/// The end of a model.
pub struct End {
    /// `deprecated`, `retired`, or `ends` while it is neither.
    pub stage: &'static str,
    /// When it is shut down.
    pub at: Option<Time>,
    /// How far that is.
    pub left: String,
}

impl<'a> Found<'a> {
    /// What `query` finds in `snapshot` at `now`.
    pub fn of(
        query: &Query,
        snapshot: &'a Snapshot,
        sources: &[SourceState],
        first_seen: &'a FirstSeen,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let chosen = query.selection.resolve(sources, now);
        let wanted = |model: &&ServedModel| {
            let has_context = query.min_context.is_none_or(|least| {
                let window = model.attributes().context_window;
                window.is_some_and(|window| window >= least)
            });
            has_context
                && chosen
                    .as_ref()
                    .is_none_or(|chosen| chosen.wants_model(model))
                && has_words(model, &query.words)
        };
        let of_all: Vec<&ServedModel> = snapshot.models.iter().filter(wanted).collect();
        let mut by_source = BTreeMap::new();
        for source in of_all.iter().flat_map(|model| model.sources()) {
            *by_source.entry(source).or_insert(0) += 1;
        }
        let of_all_sources = i64::try_from(of_all.len()).unwrap_or(i64::MAX);
        let is_of_source = |model: &&ServedModel| {
            query.provider.is_empty()
                || model
                    .sources()
                    .any(|source| source.as_str() == query.provider)
        };
        let mut found = Self {
            snapshot,
            first_seen,
            models: of_all.into_iter().filter(is_of_source).collect(),
            by_source,
            of_all_sources,
        };
        found.sort(query);
        Ok(found)
    }

    /// Puts the models into the order of `query`. What a model does not say comes last, either way.
    fn sort(&mut self, query: &Query) {
        if query.is_in_list_order() {
            return;
        }
        let (column, is_descending) = query.order();
        let mut models = std::mem::take(&mut self.models);
        match column {
            // Cannot be chosen.
            Column::Price => {}
            Column::Id => by(&mut models, is_descending, |model| Some(&model.id)),
            Column::Source => by(&mut models, is_descending, |model| model.sources().next()),
            Column::Name => models.sort_by_cached_key(|model| {
                let name = model.attributes().display_name.as_ref();
                (name.is_none(), name.map(|name| name.to_lowercase()))
            }),
            Column::Context => by(&mut models, is_descending, |model| {
                model.attributes().context_window
            }),
            Column::Output => by(&mut models, is_descending, |model| {
                model.attributes().max_output_tokens
            }),
            Column::FirstSeen => by(&mut models, is_descending, |model| self.first_seen(model)),
            Column::End => by(&mut models, is_descending, |model| {
                let attributes = model.attributes();
                attributes.retires_at.or(attributes.deprecated_at)
            }),
        }
        if column == Column::Name && is_descending {
            let named = models.partition_point(|model| model.attributes().display_name.is_some());
            models[..named].reverse();
        }
        self.models = models;
    }

    /// When `model` was first listed by any of its sources.
    fn first_seen(&self, model: &ServedModel) -> Option<Timestamp> {
        let seen = |row: &std::sync::Arc<crate::model::state::StoredModel>| {
            self.first_seen
                .get(&row.source)?
                .get(&row.model_id)
                .copied()
        };
        model.rows.iter().filter_map(seen).min()
    }

    /// The rows of `length` models from `start`.
    pub fn rows(&self, start: usize, length: usize, when: &When, now: Timestamp) -> Vec<Row> {
        let models = self.models.iter().skip(start).take(length);
        models.map(|model| self.row(model, when, now)).collect()
    }

    fn row(&self, model: &ServedModel, when: &When, now: Timestamp) -> Row {
        let attributes = model.attributes();
        let name = attributes.display_name.clone().unwrap_or_default();
        let own_id = &model.rows[0].model_id;
        let says_more = name != model.id && name != *own_id;
        let tokens = |tokens: Option<i64>| tokens.map_or_else(String::new, number);
        Row {
            id: model.id.clone(),
            href: format!("{}{}", model_path(&model.id), when.query()),
            sources: names(model.sources()),
            is_local: model.is_local,
            name: if says_more { name } else { String::new() },
            context: tokens(attributes.context_window),
            output: tokens(attributes.max_output_tokens),
            price: price(&attributes.pricing),
            prices: match attributes.pricing.is_empty() {
                true => String::new(),
                false => value(&attributes.pricing.clone().into()),
            },
            first_seen: self.first_seen(model).map(Time::day),
            end: End::of(model, now),
        }
    }

    /// How many models of the whole list have each capability.
    pub fn capabilities(&self) -> BTreeMap<String, usize> {
        count(self.snapshot, |model| {
            model.attributes().capabilities.iter().collect()
        })
    }

    /// How many models of the whole list take or make each modality.
    pub fn modalities(&self) -> BTreeMap<String, usize> {
        count(self.snapshot, |model| {
            let attributes = model.attributes();
            let made = attributes.output_modalities.iter();
            let made = made.filter(|made| !attributes.input_modalities.contains(made));
            attributes.input_modalities.iter().chain(made).collect()
        })
    }
}

/// What sources call the price of input, and of output.
const INPUT_PRICES: [&str; 3] = ["prompt", "input", "input_price"];
const OUTPUT_PRICES: [&str; 3] = ["completion", "output", "output_price"];

/// The prices of input and output in `pricing`, in short.
fn price(pricing: &Map<String, Value>) -> String {
    let find = |names: [&str; 3]| names.iter().find_map(|name| pricing.get(*name)).map(value);
    match (find(INPUT_PRICES), find(OUTPUT_PRICES)) {
        (Some(input), Some(output)) => format!("{input} / {output}"),
        _ if pricing.is_empty() => String::new(),
        _ => value(&pricing.clone().into()),
    }
}

impl End {
    /// What is known of the end of `model`; none while nothing is.
    pub fn of(model: &ServedModel, now: Timestamp) -> Option<Self> {
        let attributes = model.attributes();
        let stage = Stage::of(attributes, now);
        let at = attributes.retires_at;
        (stage != Stage::Active || at.is_some()).then(|| Self {
            stage: match stage {
                Stage::Active => "ends",
                _ => stage.as_str(),
            },
            at: at.map(Time::date),
            left: at
                .filter(|at| *at > now)
                .map_or_else(String::new, |at| until(at, now)),
        })
    }
}

/// Sorts `models` by `key`; those without one come last, either way. Models with the same key stay in
/// the order of the list.
fn by<'m, K: Ord>(
    models: &mut [&'m ServedModel],
    is_descending: bool,
    key: impl Fn(&'m ServedModel) -> Option<K>,
) {
    models.sort_by_cached_key(|model| match (key(model), is_descending) {
        (None, _) => Key::None,
        (Some(key), false) => Key::Up(key),
        (Some(key), true) => Key::Down(Reverse(key)),
    });
}

/// A key of either order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<K> {
    Up(K),
    Down(Reverse<K>),
    None,
}

/// Whether each of `words`, which are in lower case, is in the id, the name or a source of `model`.
fn has_words(model: &ServedModel, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let name = model.attributes().display_name.as_deref();
    let mut text = model.id.to_lowercase();
    text.push('\n');
    text.push_str(&name.unwrap_or_default().to_lowercase());
    for source in model.sources() {
        text.push('\n');
        text.push_str(source.as_str());
    }
    words.iter().all(|word| text.contains(word.as_str()))
}

/// How many models of `snapshot` have each of the values that `of` finds, in lower case.
fn count<'a>(
    snapshot: &'a Snapshot,
    of: impl Fn(&'a ServedModel) -> Vec<&'a String>,
) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in snapshot.models.iter().flat_map(of) {
        *counts.entry(value.as_str()).or_default() += 1;
    }
    let mut lower = BTreeMap::new();
    for (value, count) in counts {
        *lower.entry(value.to_lowercase()).or_default() += count;
    }
    lower
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::model::{
        attributes::Attributes,
        source::Role,
        state::{Content, StoredModel},
    };

    fn snapshot() -> Snapshot {
        let model = |source: &str, id: &str, context_window, name: Option<&str>| {
            Arc::new(StoredModel {
                source: source.parse().expect("a name"),
                role: match source {
                    "box" => Role::Endpoint,
                    _ => Role::Provider,
                },
                model_id: id.to_owned(),
                attributes: Attributes {
                    context_window,
                    display_name: name.map(str::to_owned),
                    capabilities: vec!["Tools".to_owned()],
                    ..Attributes::default()
                },
            })
        };
        Snapshot::build(Content {
            revision: 1,
            sources: Vec::new(),
            models: vec![
                model("openai", "small", Some(8_000), Some("Tiny One")),
                model("openai", "large", Some(200_000), None),
                model("acme", "middle", Some(32_000), Some("aardvark")),
                model("acme", "silent", None, Some("Zebra")),
                model("box", "m:7b", Some(32_000), None),
            ],
        })
        .expect("a snapshot")
    }

    fn found(uri: &str) -> String {
        let (snapshot, first_seen) = (snapshot(), FirstSeen::default());
        let query = Query::of(&uri.parse().expect("a URI")).expect("usable");
        let found = Found::of(
            &query,
            &snapshot,
            &[],
            &first_seen,
            Timestamp::from_millis(0),
        );
        let ids = found
            .expect("found")
            .models
            .iter()
            .map(|model| model.id.clone())
            .collect::<Vec<_>>();
        ids.join(" ")
    }

    #[rstest]
    #[case("/", "m:7b openai:large openai:small acme:middle acme:silent")]
    #[case("/?q=ACME", "acme:middle acme:silent")]
    #[case("/?q=one+tiny", "openai:small")]
    #[case("/?q=one+large", "")]
    #[case("/?q=box", "m:7b")]
    #[case("/?provider=openai", "openai:large openai:small")]
    #[case("/?provider=nobody", "")]
    #[case("/?context=32000", "m:7b openai:large acme:middle")]
    #[case("/?capability=tools&q=m", "m:7b openai:small acme:middle acme:silent")]
    #[case(
        "/?sort=context",
        "openai:small m:7b acme:middle openai:large acme:silent"
    )]
    #[case(
        "/?sort=-context",
        "openai:large m:7b acme:middle openai:small acme:silent"
    )]
    #[case(
        "/?sort=name",
        "acme:middle openai:small acme:silent m:7b openai:large"
    )]
    #[case(
        "/?sort=-name",
        "acme:silent openai:small acme:middle m:7b openai:large"
    )]
    #[case("/?sort=-id", "openai:small openai:large m:7b acme:silent acme:middle")]
    #[case(
        "/?sort=source",
        "acme:middle acme:silent m:7b openai:large openai:small"
    )]
    fn finds(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(found(uri), expected);
    }

    #[test]
    fn prices_are_those_of_input_and_output() {
        let short = |pricing: Value| price(pricing.as_object().expect("an object"));
        let prices = serde_json::json!({"completion": "0.6", "prompt": "0.15", "image": "1"});
        assert_eq!(short(prices), "0.15 / 0.6");
        assert_eq!(
            short(serde_json::json!({"input": 2, "output": 8.5})),
            "2 / 8.5"
        );
        assert_eq!(
            short(serde_json::json!({"request": "0.01"})),
            "request 0.01"
        );
        assert_eq!(short(serde_json::json!({})), "");
    }

    #[test]
    fn counts_of_sources_leave_the_source_out() {
        let (snapshot, first_seen) = (snapshot(), FirstSeen::default());
        let query = Query::of(&"/?q=m&provider=acme".parse().expect("a URI")).expect("usable");
        let found = Found::of(
            &query,
            &snapshot,
            &[],
            &first_seen,
            Timestamp::from_millis(0),
        );
        let found = found.expect("found");
        let counts: Vec<_> = found
            .by_source
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(counts, [("acme", 2), ("box", 1), ("openai", 1)]);
        assert_eq!(found.of_all_sources, 4);
        assert_eq!(
            found.capabilities(),
            BTreeMap::from([("tools".to_owned(), 5)])
        );
    }
}
