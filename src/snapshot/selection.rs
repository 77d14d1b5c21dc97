//! The filters of `GET /v1/models`. Pure.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use url::form_urlencoded;

use super::{merge::ServedModel, parts::Restriction};
use crate::model::{
    lifecycle::Stage,
    names::Names,
    source::{Freshness, SourceName},
    state::{SourceState, StoredModel},
    time::{Timestamp, parse_duration},
};

/// The most values of one filter.
const MAX_VALUES: usize = 100;

/// A filter with an invalid value.
#[derive(Debug, PartialEq, Eq)]
pub struct BadFilter {
    /// Its name.
    pub name: &'static str,
    /// The valid values, as a sentence for the caller.
    pub message: String,
}

/// The filters of a request. A filter without values lets every model through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    providers: BTreeSet<SourceName>,
    owners: BTreeSet<String>,
    /// In lower case.
    texts: BTreeSet<String>,
    /// In lower case, like the sets below: sources use any case.
    capabilities: BTreeSet<String>,
    modalities: BTreeSet<String>,
    lifecycles: BTreeSet<String>,
    max_age: Option<TimeDelta>,
    /// The `stale=` filter; none when absent.
    stale: Option<Stale>,
    /// The requested fields of each entry; empty for all.
    pub fields: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stale {
    Include,
    Exclude,
}

impl Selection {
    /// Parses the query string. Ignores other parameters and blank values.
    pub fn parse(query: Option<&str>) -> Result<Self, BadFilter> {
        let mut selection = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            // Commas separate the values of every filter.
            let values = value
                .split(',')
                .map(str::trim)
                .filter(|value| !value.is_empty());
            for value in values {
                selection.add(&name, value)?;
            }
        }
        Ok(selection)
    }

    /// The same selection limited to `source`.
    pub fn of_source(mut self, source: &SourceName) -> Self {
        self.providers = BTreeSet::from([source.clone()]);
        self
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), BadFilter> {
        let lower = || value.to_lowercase();
        match name {
            "provider" => {
                let source = value.parse().map_err(|_| BadFilter {
                    name: "provider",
                    message: "provider= must be names of sources, separated by commas: GET /catalog/sources lists them.".to_owned(),
                })?;
                insert(&mut self.providers, "provider", source)
            }
            "owned_by" => insert(&mut self.owners, "owned_by", value.to_owned()),
            "q" => insert(&mut self.texts, "q", lower()),
            "capability" => insert(&mut self.capabilities, "capability", lower()),
            "modality" => insert(&mut self.modalities, "modality", lower()),
            "lifecycle" => insert(&mut self.lifecycles, "lifecycle", lower()),
            "max_age" => {
                self.max_age = Some(parse_age(value)?);
                Ok(())
            }
            "stale" => {
                self.stale = Some(match value {
                    "include" => Stale::Include,
                    "exclude" => Stale::Exclude,
                    _ => {
                        return Err(BadFilter {
                            name: "stale",
                            message: "stale= must be include or exclude.".to_owned(),
                        });
                    }
                });
                Ok(())
            }
            "fields" => insert(&mut self.fields, "fields", value.to_owned()),
            _ => Ok(()),
        }
    }

    /// The first filter that applies only to the present, if any.
    pub fn current_only_filter(&self) -> Option<&'static str> {
        let max_age = self.max_age.map(|_| "max_age");
        max_age.or(self.stale.map(|_| "stale"))
    }

    /// Whether it can choose models of `source`.
    pub fn may_choose(&self, source: &SourceName) -> bool {
        self.providers.is_empty() || self.providers.contains(source)
    }

    /// Resolves the selection against `sources` at `now`; none when it chooses everything.
    pub fn resolve(
        &self,
        sources: &[SourceState],
        now: Timestamp,
    ) -> Option<ResolvedSelection<'_>> {
        let everything = Self {
            fields: self.fields.clone(),
            ..Self::default()
        };
        if *self == everything {
            return None;
        }
        let is_wanted = |source: &&SourceState| {
            let young =
                |age| Freshness::of(source.polling.fetched_at, age, now) == Freshness::Fresh;
            let fresh = || source.freshness(now) == Freshness::Fresh;
            self.may_choose(&source.name)
                && self.max_age.is_none_or(young)
                && (self.stale != Some(Stale::Exclude) || fresh())
        };
        Some(ResolvedSelection {
            selection: self,
            now,
            sources: sources
                .iter()
                .filter(is_wanted)
                .map(|source| source.name.clone())
                .collect(),
        })
    }

    /// Whether `model` passes, at `now`, the filters that do not depend on its sources.
    fn wants(&self, model: &ServedModel, now: Timestamp) -> bool {
        let attributes = model.attributes();
        let input = &attributes.input_modalities;
        let output = &attributes.output_modalities;
        passes(&self.owners, || self.owners.contains(&model.owned_by))
            && passes(&self.capabilities, || {
                any_of(&self.capabilities, &attributes.capabilities)
            })
            && passes(&self.modalities, || {
                self.modalities
                    .iter()
                    .any(|wanted| match wanted.split_once(':') {
                        Some(("input", wanted)) => has(input, wanted),
                        Some(("output", wanted)) => has(output, wanted),
                        _ => has(input, wanted) || has(output, wanted),
                    })
            })
            && passes(&self.lifecycles, || {
                self.lifecycles
                    .contains(Stage::of(attributes, now).as_str())
                    || any_of(&self.lifecycles, attributes.lifecycle.as_slice())
            })
            && passes(&self.texts, || {
                [
                    Some(&model.id),
                    attributes.display_name.as_ref(),
                    attributes.description.as_ref(),
                ]
                .into_iter()
                .flatten()
                .any(|text| {
                    let text = text.to_lowercase();
                    self.texts.iter().any(|wanted| text.contains(wanted))
                })
            })
    }
}

/// A selection resolved at one moment.
#[derive(Debug)]
pub struct ResolvedSelection<'a> {
    selection: &'a Selection,
    /// The moment.
    pub now: Timestamp,
    sources: BTreeSet<SourceName>,
}

impl ResolvedSelection<'_> {
    /// A cache name: the same for selections that choose the same models. What depends on time is in the
    /// sources and in `passed`, the number of announced ends that have passed.
    pub fn name(&self, passed: usize) -> String {
        let Selection {
            providers,
            owners,
            texts,
            capabilities,
            modalities,
            lifecycles,
            max_age: _,
            stale: _,
            fields: _,
        } = self.selection;
        let mut name = form_urlencoded::Serializer::new(String::new());
        name.extend_pairs(providers.iter().map(|value| ("provider", value.as_str())));
        name.extend_pairs(self.sources.iter().map(|value| ("source", value.as_str())));
        for (filter, values) in [
            ("owned_by", owners),
            ("q", texts),
            ("capability", capabilities),
            ("modality", modalities),
            ("lifecycle", lifecycles),
        ] {
            name.extend_pairs(values.iter().map(|value| (filter, value)));
        }
        if !lifecycles.is_empty() {
            name.append_pair("passed", &passed.to_string());
        }
        name.finish()
    }
}

impl Restriction for ResolvedSelection<'_> {
    fn wants_row(&self, _names: &Names, row: &StoredModel) -> bool {
        self.sources.contains(&row.source)
    }

    fn wants_model(&self, model: &ServedModel) -> bool {
        self.selection.wants(model, self.now)
    }
}

fn insert<T: Ord>(values: &mut BTreeSet<T>, name: &'static str, value: T) -> Result<(), BadFilter> {
    values.insert(value);
    if values.len() > MAX_VALUES {
        return Err(BadFilter {
            name,
            message: format!("{name}= has more than {MAX_VALUES} values."),
        });
    }
    Ok(())
}

fn parse_age(text: &str) -> Result<TimeDelta, BadFilter> {
    parse_duration(text)
        .filter(|age| *age > TimeDelta::zero())
        .ok_or_else(|| BadFilter {
            name: "max_age",
            message: "max_age= must be a duration such as 1h or 90s.".to_owned(),
        })
}

fn passes<T>(filter: &BTreeSet<T>, test: impl FnOnce() -> bool) -> bool {
    filter.is_empty() || test()
}

fn any_of(wanted: &BTreeSet<String>, values: &[String]) -> bool {
    wanted.iter().any(|wanted| has(values, wanted))
}

/// Whether `values`, in any case, contain `wanted`, which is in lower case.
fn has(values: &[String], wanted: &str) -> bool {
    values.iter().any(|value| value.to_lowercase() == wanted)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        model::{
            attributes::Attributes,
            source::Role,
            state::{Content, Polling},
        },
        snapshot::Snapshot,
    };

    const NOW: i64 = 1_800_000_000_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    /// `openai` answered an hour ago and is fresh, `box` and `zed` ten minutes and a moment ago; `box` is
    /// stale.
    fn sources() -> Vec<SourceState> {
        let source = |name: &str, role, age: TimeDelta, ttl_secs| SourceState {
            polling: Polling {
                fetched_at: Some(now().plus(-age)),
                ttl_secs,
                ..Polling::default()
            },
            ..SourceState::sample(name, role)
        };
        vec![
            source("box", Role::Endpoint, TimeDelta::minutes(10), 30),
            source("zed", Role::Endpoint, TimeDelta::seconds(1), 30),
            source("openai", Role::Provider, TimeDelta::hours(1), 86_400),
        ]
    }

    fn snapshot() -> Snapshot {
        let model = |source: &str, id: &str, attributes| {
            std::sync::Arc::new(StoredModel {
                source: source.parse().expect("a name"),
                role: match source {
                    "openai" => Role::Provider,
                    _ => Role::Endpoint,
                },
                model_id: id.to_owned(),
                attributes,
            })
        };
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        Snapshot::build(Content {
            revision: 1,
            sources: Vec::new(),
            models: vec![
                model(
                    "openai",
                    "eye",
                    Attributes {
                        display_name: Some("Große Äugen".to_owned()),
                        input_modalities: texts(&["Image", "text"]),
                        output_modalities: texts(&["text"]),
                        capabilities: texts(&["vision"]),
                        lifecycle: Some("Deprecated".to_owned()),
                        ..Attributes::default()
                    },
                ),
                model(
                    "openai",
                    "brush",
                    Attributes {
                        description: Some("Paints, 50% faster".to_owned()),
                        input_modalities: texts(&["text"]),
                        output_modalities: texts(&["image"]),
                        capabilities: texts(&["tools", "vision"]),
                        lifecycle: Some("active".to_owned()),
                        ..Attributes::default()
                    },
                ),
                model("box", "m:7b", Attributes::default()),
                model("zed", "m:7b", Attributes::default()),
                model("box", "only", Attributes::default()),
            ],
        })
        .expect("a snapshot")
    }

    /// The ids that `query` chooses, separated by blanks.
    fn chosen(query: &str) -> String {
        let snapshot = snapshot();
        let selection = Selection::parse(Some(query)).expect("usable");
        let part = match selection.resolve(&sources(), now()) {
            Some(chosen) => snapshot.restrict(&chosen).expect("made"),
            None => snapshot,
        };
        let ids: Vec<&str> = part.models.iter().map(|model| model.id.as_str()).collect();
        ids.join(" ")
    }

    const ALL: &str = "m:7b only openai:brush openai:eye";

    #[rstest]
    #[case::nothing("", ALL)]
    #[case::unknown("limit=1&x=provider", ALL)]
    #[case::blank("q=&provider=,&stale=&max_age=%20", ALL)]
    #[case::provider("provider=openai", "openai:brush openai:eye")]
    #[case::endpoint("provider=box", "m:7b only")]
    #[case::several("provider=zed,openai", "m:7b openai:brush openai:eye")]
    #[case::repeated("provider=zed&provider=openai", "m:7b openai:brush openai:eye")]
    #[case::nobody("provider=nobody", "")]
    #[case::owner("owned_by=lb", "m:7b only")]
    #[case::owner_in_another_case("owned_by=LB", "")]
    #[case::id("q=M:7B", "m:7b")]
    #[case::part_of_an_id("q=nai%3Ae", "openai:eye")]
    #[case::name("q=ÄUG", "openai:eye")]
    #[case::description("q=50%25+F", "openai:brush")]
    #[case::either("q=m:7,eye", "m:7b openai:eye")]
    #[case::capability("capability=Tools", "openai:brush")]
    #[case::any_capability("capability=tools,vision", "openai:brush openai:eye")]
    #[case::part_of_a_capability("capability=tool", "")]
    #[case::modality("modality=image", "openai:brush openai:eye")]
    #[case::input("modality=input:image", "openai:eye")]
    #[case::output("modality=output:image", "openai:brush")]
    #[case::lifecycle("lifecycle=deprecated", "openai:eye")]
    #[case::no_word_is_active("lifecycle=active", "m:7b only openai:brush")]
    #[case::all_of_them("capability=vision&modality=output:image&q=BRUSH", "openai:brush")]
    #[case::and_not_or("capability=tools&lifecycle=deprecated", "")]
    #[case::age("max_age=5m", "m:7b")]
    #[case::age_in_seconds("max_age=1800", "m:7b only")]
    #[case::great_age("max_age=1d", ALL)]
    #[case::fresh("stale=exclude", "m:7b openai:brush openai:eye")]
    #[case::stale("stale=include", ALL)]
    #[case::fresh_of_one("stale=exclude&provider=box", "")]
    fn chooses(#[case] query: &str, #[case] expected: &str) {
        assert_eq!(chosen(query), expected);
    }

    #[rstest]
    #[case("provider=Open+AI", "provider")]
    #[case("stale=no", "stale")]
    #[case("max_age=soon", "max_age")]
    #[case("max_age=0s", "max_age")]
    #[case("max_age=-5", "max_age")]
    fn refuses(#[case] query: &str, #[case] name: &str) {
        let error = Selection::parse(Some(query)).expect_err("refused");
        assert_eq!(error.name, name);
        assert!(error.message.contains(name), "{}", error.message);
    }

    #[test]
    fn has_a_bound() {
        let query = |values: usize| {
            let values: Vec<String> = (0..values).map(|value| value.to_string()).collect();
            format!("q={}", values.join(","))
        };
        assert!(Selection::parse(Some(&query(MAX_VALUES))).is_ok());
        assert!(Selection::parse(Some(&query(MAX_VALUES + 1))).is_err());
    }

    #[test]
    fn what_chooses_the_same_has_the_same_name() {
        let name = |query: &str| {
            let selection = Selection::parse(Some(query)).expect("usable");
            let chosen = selection.resolve(&sources(), now());
            chosen.map(|chosen| chosen.name(0)).unwrap_or_default()
        };
        let same = [
            "q=A,b&capability=tools&stale=exclude",
            "stale=exclude&capability=TOOLS&q=b&q=a&limit=7",
            "max_age=2h&stale=exclude&q=a,b&capability=tools&fields=id",
        ];
        for query in same {
            assert_eq!(name(query), name(same[0]), "{query}");
        }
        let different = [
            "q=a,b",
            "q=a%26b",
            "q=a%26q%3Db",
            "capability=a",
            "stale=exclude",
            "max_age=5m",
            "provider=box",
            "provider=zed",
            "provider=box&stale=exclude",
            "fields=id",
        ];
        let names: BTreeSet<String> = different.into_iter().map(name).collect();
        assert_eq!(names.len(), different.len(), "{names:?}");
        assert_eq!(name("fields=id"), "", "the models are all there");
    }
}
