//! The well-known providers, which need nothing but their key: names, variables and base URLs as
//! their official SDKs have them. Where an SDK has no variable for the base URL, ours is
//! `<NAME>_BASE_URL`.

use super::{
    environment::Environment, error::ConfigError, file::Table, read::Settings, secrets::Secrets,
    source::SourceConfig, url::parse_base_url,
};
use crate::model::source::Kind;

/// A provider that needs nothing but its key.
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The first that is set counts.
    pub(super) key_variables: &'static [&'static str],
    pub(super) base_url_variable: &'static str,
    /// None where every account has a host of its own: then the variable must be set too.
    pub(super) base_url: Option<&'static str>,
    /// What stands between the base URL as the SDK takes it and `/models`. One that has it already
    /// is taken as it is.
    pub(super) version_path: &'static str,
    /// Whether operators are told of it where it is not configured.
    pub(super) is_suggested: bool,
}

/// What the presets beyond the first three have in common.
const COMPATIBLE: Preset = Preset {
    name: "",
    kind: Kind::OpenAi,
    key_variables: &[],
    base_url_variable: "",
    base_url: None,
    version_path: "",
    is_suggested: false,
};

/// Every preset.
pub(super) const PRESETS: [Preset; 16] = [
    Preset {
        name: "openai",
        key_variables: &["OPENAI_API_KEY"],
        base_url_variable: "OPENAI_BASE_URL",
        base_url: Some("https://api.openai.com/v1"),
        is_suggested: true,
        ..COMPATIBLE
    },
    Preset {
        name: "google",
        kind: Kind::Google,
        key_variables: &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
        base_url_variable: "GOOGLE_GEMINI_BASE_URL",
        base_url: Some("https://generativelanguage.googleapis.com"),
        is_suggested: true,
        ..COMPATIBLE
    },
    Preset {
        name: "anthropic",
        kind: Kind::Anthropic,
        key_variables: &["ANTHROPIC_API_KEY"],
        base_url_variable: "ANTHROPIC_BASE_URL",
        base_url: Some("https://api.anthropic.com"),
        is_suggested: true,
        ..COMPATIBLE
    },
    Preset {
        name: "azure",
        kind: Kind::Azure,
        key_variables: &["AZURE_OPENAI_API_KEY"],
        base_url_variable: "AZURE_OPENAI_ENDPOINT",
        version_path: "/openai/v1",
        ..COMPATIBLE
    },
    Preset {
        name: "cerebras",
        key_variables: &["CEREBRAS_API_KEY"],
        base_url_variable: "CEREBRAS_BASE_URL",
        base_url: Some("https://api.cerebras.ai"),
        version_path: "/v1",
        ..COMPATIBLE
    },
    Preset {
        name: "cohere",
        kind: Kind::Cohere,
        key_variables: &["CO_API_KEY", "COHERE_API_KEY"],
        base_url_variable: "CO_API_URL",
        base_url: Some("https://api.cohere.com"),
        version_path: "/v1",
        ..COMPATIBLE
    },
    Preset {
        name: "deepseek",
        key_variables: &["DEEPSEEK_API_KEY"],
        base_url_variable: "DEEPSEEK_BASE_URL",
        base_url: Some("https://api.deepseek.com"),
        ..COMPATIBLE
    },
    Preset {
        name: "fireworks",
        key_variables: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        base_url_variable: "FIREWORKS_BASE_URL",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "groq",
        key_variables: &["GROQ_API_KEY"],
        base_url_variable: "GROQ_BASE_URL",
        base_url: Some("https://api.groq.com"),
        version_path: "/openai/v1",
        ..COMPATIBLE
    },
    Preset {
        name: "huggingface",
        key_variables: &["HF_TOKEN"],
        base_url_variable: "HUGGINGFACE_BASE_URL",
        base_url: Some("https://router.huggingface.co/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "mistral",
        key_variables: &["MISTRAL_API_KEY"],
        base_url_variable: "MISTRAL_BASE_URL",
        base_url: Some("https://api.mistral.ai/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "nvidia",
        key_variables: &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
        base_url_variable: "NVIDIA_BASE_URL",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "openrouter",
        kind: Kind::OpenRouter,
        key_variables: &["OPENROUTER_API_KEY"],
        base_url_variable: "OPENROUTER_BASE_URL",
        base_url: Some("https://openrouter.ai/api/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "perplexity",
        key_variables: &["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"],
        base_url_variable: "PERPLEXITY_BASE_URL",
        base_url: Some("https://api.perplexity.ai/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "together",
        key_variables: &["TOGETHER_API_KEY"],
        base_url_variable: "TOGETHER_BASE_URL",
        base_url: Some("https://api.together.xyz/v1"),
        ..COMPATIBLE
    },
    Preset {
        name: "xai",
        key_variables: &["XAI_API_KEY"],
        base_url_variable: "XAI_BASE_URL",
        base_url: Some("https://api.x.ai/v1"),
        ..COMPATIBLE
    },
];

impl Preset {
    /// What to set so that it is listed, for people.
    pub(super) fn key_hint(&self) -> String {
        self.key_variables.join(" or ")
    }

    /// `base_url`, as the SDK takes it, with the version where that is missing.
    pub(super) fn with_version(&self, base_url: &str) -> String {
        let bare = base_url.trim_end_matches('/');
        if bare.ends_with(self.version_path) {
            base_url.to_owned()
        } else {
            format!("{bare}{}", self.version_path)
        }
    }
}

impl Settings {
    /// Adds the well-known provider `preset` where its key is set; otherwise what to set, where that
    /// is worth telling.
    pub(super) fn add_preset(
        &mut self,
        preset: &Preset,
        table: &Table,
        environment: &Environment,
        secrets: &mut Secrets,
    ) -> Result<Option<String>, ConfigError> {
        let name = preset.name;
        if table.enabled == Some(false) {
            let hint = format!("switched off: [providers.{name}] has enabled = false");
            return Ok(preset.is_suggested.then_some(hint));
        }
        let key = match secrets.read_variables(preset.key_variables)? {
            Some(key) => Some(key),
            None => secrets.read_places(name, table.key_places())?,
        };
        let (given, variable) = (
            environment.get(preset.base_url_variable),
            preset.base_url_variable,
        );
        // Some lists are public: `enabled = true` has them asked without a key.
        if key.is_none() && table.base_url.is_none() && table.enabled.is_none() {
            let hint = format!("set {} to list its models", preset.key_hint());
            if given.is_some() {
                secrets.warnings.push(format!(
                    "{variable} is set and no key is: {name} is not listed; set {}",
                    preset.key_hint()
                ));
            }
            return Ok((preset.is_suggested || given.is_some()).then_some(hint));
        }
        // A path in the file is whole, as it is of any other provider: a gateway's, say.
        let is_whole = |url: &&String| {
            let rest = url.split_once("://").map_or("", |(_, rest)| rest);
            rest.trim_end_matches('/').contains('/')
        };
        let base_url = match given {
            Some(url) => Some(preset.with_version(parse_base_url(variable, &url)?.as_str())),
            None => match table.base_url.as_ref() {
                Some(url) if is_whole(&url) => Some(url.clone()),
                Some(url) => Some(preset.with_version(url)),
                None => preset.base_url.map(|url| preset.with_version(url)),
            },
        };
        let Some(base_url) = base_url else {
            secrets.warnings.push(format!(
                "the key of {name} is set and {variable} is not: {name} is not listed; set it"
            ));
            return Ok(Some(format!("set {variable} to list its models")));
        };
        let kind = table.kind.unwrap_or(preset.kind);
        let source = SourceConfig::provider(name, kind, &base_url, None)?;
        self.add(source, key, table)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_and_no_variable_twice() {
        let names: BTreeSet<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        assert_eq!(names.len(), PRESETS.len());
        let variables: Vec<&str> = PRESETS
            .iter()
            .flat_map(|preset| preset.key_variables.iter().copied())
            .chain(PRESETS.iter().map(|preset| preset.base_url_variable))
            .collect();
        let different: BTreeSet<&str> = variables.iter().copied().collect();
        assert_eq!(different.len(), variables.len());
        assert!(!different.contains(""));
    }

    #[test]
    fn the_documentation_has_each_with_its_variables() {
        let page = include_str!("../../docs/providers.md");
        let (_, page) = page.split_once("## Presets").expect("the section");
        let (table, _) = page.split_once("Of two key variables").expect("its end");
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        assert_eq!(rows.len(), PRESETS.len());
        for (row, preset) in rows.iter().zip(&PRESETS) {
            let list = match preset.kind {
                Kind::Google => "/v1beta/models".to_owned(),
                Kind::Anthropic => "/v1/models".to_owned(),
                _ => format!("{}/models", preset.version_path),
            };
            let words = [preset.name, preset.base_url_variable, list.as_str()];
            let words = words
                .iter()
                .chain(preset.key_variables)
                .chain(&preset.base_url);
            for word in words {
                assert!(row.contains(&format!("`{word}`")), "{word} in {row}");
            }
        }
    }
}
