//! Names: the id that clients use for a model, and the models that an id may mean. Only this file
//! makes one from the other. Pure.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    scope::Scope,
    source::{Role, SourceName},
};

/// What identifies a model everywhere: its source and its id there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelKey {
    /// Its source.
    pub source: SourceName,
    /// The role of its source.
    pub role: Role,
    /// Its id at the source. Never empty.
    pub model_id: String,
}

/// The names of sources, which decide what every model is called.
///
/// A cloud model is called `provider:model_id`, a local model by its own id. A local id that reads as
/// one that is made with a source's name gets its endpoint's name in front, so that no endpoint can
/// stand in for a provider, and no model has the name of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    sources: BTreeMap<SourceName, Role>,
}

impl Names {
    /// The names while these `sources` are known.
    pub fn new(sources: impl IntoIterator<Item = (SourceName, Role)>) -> Self {
        Self {
            sources: sources.into_iter().collect(),
        }
    }

    /// The names for those who may see only the sources of `scope`.
    pub fn within(&self, scope: &Scope) -> Self {
        let sources = self.sources.iter();
        let allowed = sources.filter(|(source, _)| scope.allows_source(source.as_str()));
        Self::new(allowed.map(|(source, role)| (source.clone(), *role)))
    }

    /// Whether `id` begins with the name of a provider, or with that of an endpoint and then with such
    /// an id.
    pub fn is_reserved(&self, id: &str) -> bool {
        let mut rest = id;
        // The name of a source has no colon, so it ends at the first one.
        while let Some((name, after)) = rest.split_once(':') {
            match self.sources.get(name) {
                Some(Role::Provider) => return true,
                Some(Role::Endpoint) => rest = after,
                None => return false,
            }
        }
        false
    }

    /// The whole id of the model `model_id` of `source`.
    pub fn id_of(&self, role: Role, source: &SourceName, model_id: &str) -> String {
        if role == Role::Endpoint && !self.is_reserved(model_id) {
            return model_id.to_owned();
        }
        format!("{source}:{model_id}")
    }

    /// The model of `source` that the whole `id` means, if it can be one.
    fn key_at(&self, role: Role, source: &SourceName, id: &str) -> Option<ModelKey> {
        let own_id = id
            .strip_prefix(source.as_str())
            .and_then(|rest| rest.strip_prefix(':'));
        let model_id = match (role, own_id) {
            (Role::Provider, own_id) => own_id?,
            (Role::Endpoint, Some(own_id)) if self.is_reserved(own_id) => own_id,
            (Role::Endpoint, _) if self.is_reserved(id) => return None,
            (Role::Endpoint, _) => id,
        };
        (!model_id.is_empty()).then(|| ModelKey {
            source: source.clone(),
            role,
            model_id: model_id.to_owned(),
        })
    }
}

/// What one caller may see, and what it is called for that caller: as if nothing else existed.
#[derive(Clone, Debug, Default)]
pub struct Visibility {
    scope: Arc<Scope>,
    names: Names,
    /// The sources that may be seen.
    sources: Vec<(SourceName, Role)>,
}

impl Visibility {
    /// What may be seen within `scope`, when everything has these `names` and `sources`.
    pub fn new<'a>(
        scope: Arc<Scope>,
        names: &Names,
        sources: impl IntoIterator<Item = (&'a SourceName, Role)>,
    ) -> Self {
        let allowed = |(source, _): &(&SourceName, Role)| scope.allows_source(source.as_str());
        Self {
            names: names.within(&scope),
            sources: sources
                .into_iter()
                .filter(allowed)
                .map(|(source, role)| (source.clone(), role))
                .collect(),
            scope,
        }
    }

    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The whole id of the model `model_id` of `source`; none when it may not be seen.
    pub fn id_of(&self, role: Role, source: &SourceName, model_id: &str) -> Option<String> {
        if !self.scope.allows_source(source.as_str()) {
            return None;
        }
        let id = self.names.id_of(role, source, model_id);
        self.scope.allows_id(&id).then_some(id)
    }

    /// The models that the whole `id` may mean, whether or not they were ever listed. None when it
    /// may not be seen, or cannot be an id.
    pub fn keys_of(&self, id: &str) -> Vec<ModelKey> {
        if !self.scope.allows_id(id) {
            return Vec::new();
        }
        self.sources
            .iter()
            .filter_map(|(source, role)| self.names.key_at(*role, source, id))
            .collect()
    }

    /// The models of the endpoints that have `model_id` as their own id, whatever they are called.
    pub fn local_keys_of(&self, model_id: &str) -> Vec<ModelKey> {
        let endpoints = self.sources.iter();
        endpoints
            .filter(|(_, role)| *role == Role::Endpoint && !model_id.is_empty())
            .map(|(source, role)| ModelKey {
                source: source.clone(),
                role: *role,
                model_id: model_id.to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::model::glob::Pattern;

    const SOURCES: [(&str, Role); 4] = [
        ("box", Role::Endpoint),
        ("zed", Role::Endpoint),
        ("mistral", Role::Provider),
        ("openai", Role::Provider),
    ];

    fn name(text: &str) -> SourceName {
        text.parse().expect("a name")
    }

    fn visibility(scope: Scope) -> Visibility {
        let sources = SOURCES.map(|(source, role)| (name(source), role));
        let names = Names::new(sources.clone());
        Visibility::new(
            Arc::new(scope),
            &names,
            sources.iter().map(|(source, role)| (source, *role)),
        )
    }

    fn only(sources: &[&str], globs: &[&str]) -> Scope {
        let mut scope = Scope::default();
        for source in sources {
            scope.add_source(source);
        }
        if !globs.is_empty() {
            let pattern = |glob: &&str| Pattern::try_from((*glob).to_owned()).expect("usable");
            let set = scope.set_models(globs.iter().map(pattern).collect());
            set.expect("few globs");
        }
        scope
    }

    #[rstest]
    #[case::cloud("openai", "gpt-x", "openai:gpt-x")]
    #[case::cloud_with_a_colon("openai", "ft:gpt-x", "openai:ft:gpt-x")]
    #[case::local("box", "llama3:8b", "llama3:8b")]
    #[case::local_like_a_cloud_model("box", "openai:gpt-x", "box:openai:gpt-x")]
    #[case::local_like_another_provider("box", "mistral:7b", "box:mistral:7b")]
    #[case::local_like_such_a_local_model("zed", "box:openai:o", "zed:box:openai:o")]
    #[case::local_like_another_endpoints("zed", "box:7b", "box:7b")]
    #[case::the_prefix_alone("box", "openai:", "box:openai:")]
    #[case::a_longer_name("box", "openai-x:7b", "openai-x:7b")]
    #[case::another_case("box", "OpenAI:gpt-x", "OpenAI:gpt-x")]
    fn ids(#[case] source: &str, #[case] model_id: &str, #[case] expected: &str) {
        let everything = visibility(Scope::ALL);
        let role = SOURCES.iter().find(|(known, _)| *known == source);
        let (_, role) = role.expect("known");
        let id = everything.id_of(*role, &name(source), model_id);
        assert_eq!(id.as_deref(), Some(expected));
    }

    #[rstest]
    #[case::cloud("openai:gpt-x", &["openai gpt-x"])]
    #[case::local("llama3:8b", &["box llama3:8b", "zed llama3:8b"])]
    #[case::local_like_a_cloud_model("box:openai:gpt-x", &["box openai:gpt-x"])]
    #[case::local_like_such_a_local_model("zed:box:openai:o", &["zed box:openai:o"])]
    #[case::an_endpoint_and_no_prefix("box:llama3", &["box box:llama3", "zed box:llama3"])]
    #[case::half_an_id("openai:", &[])]
    #[case::no_id("", &[])]
    fn what_an_id_may_mean(#[case] id: &str, #[case] expected: &[&str]) {
        let keys = visibility(Scope::ALL).keys_of(id);
        let keys: Vec<String> = keys
            .iter()
            .map(|key| format!("{} {}", key.source, key.model_id))
            .collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn what_may_not_be_seen_takes_no_name() {
        let boxed = visibility(only(&["box"], &[]));
        let id = |source: &str, role, model_id| boxed.id_of(role, &name(source), model_id);
        assert_eq!(
            id("box", Role::Endpoint, "openai:o").as_deref(),
            Some("openai:o")
        );
        assert_eq!(id("openai", Role::Provider, "o"), None);
        assert_eq!(boxed.keys_of("openai:o").len(), 1);
        assert_eq!(boxed.keys_of("openai:o")[0].source, name("box"));

        let globs = visibility(only(&[], &["openai:*"]));
        assert_eq!(
            globs.id_of(Role::Endpoint, &name("box"), "openai:o"),
            None,
            "an endpoint's model is not one of openai's"
        );
        assert!(globs.keys_of("mistral:7b").is_empty());
    }

    proptest! {
        /// Whatever a model is called, that name leads back to it, and to no model with another own id.
        #[test]
        fn names_lead_back(
            source in 0..SOURCES.len(),
            model_id in "(openai:|mistral:|box:|zed:|llama3:|:){0,3}[a-z]{1,2}",
            seen in proptest::bits::u8::between(0, 4),
        ) {
            let mut scope = Scope::default();
            for (place, (source, _)) in SOURCES.iter().enumerate() {
                if seen & (1 << place) != 0 {
                    scope.add_source(source);
                }
            }
            let visibility = visibility(scope);
            let (source, role) = SOURCES[source];
            let key = ModelKey { source: name(source), role, model_id };
            if let Some(id) = visibility.id_of(role, &key.source, &key.model_id) {
                let keys = visibility.keys_of(&id);
                prop_assert!(keys.contains(&key), "{id}: {keys:?}");
                let is_same = |other: &ModelKey| other.role == role && other.model_id == key.model_id;
                prop_assert!(keys.iter().all(is_same), "{id}: {keys:?}");
            }
        }
    }
}
