//! Reading the well-known providers: which of [`PRESETS`] are on, and what the others need.

use crate::config::{
    PresetState, PresetStatus, Unconfigured,
    environment::Environment,
    error::ConfigError,
    file::Table,
    presets::{PRESETS, Preset},
    secrets::Secrets,
    source::SourceConfig,
    url::parse_base_url,
};

use super::{Settings, parse_name};

impl Preset {
    /// The variables of its key, joined for messages.
    fn key_names(&self) -> String {
        self.key_variables.join(" or ")
    }

    /// The variables in its URL templates. Each list holds alternatives: one of them is enough.
    fn further_variables(&self) -> Vec<Vec<&'static str>> {
        [self.base_url.unwrap_or_default(), self.version_path]
            .into_iter()
            .flat_map(|template| template.split('{').skip(1))
            .filter_map(|rest| Some(rest.split_once('}')?.0.split('|').collect()))
            .collect()
    }

    /// Appends `version_path` to `base_url` (as the SDK takes it) unless it is already there.
    fn with_version(base_url: &str, version_path: &str) -> String {
        let bare = base_url.trim_end_matches('/');
        if bare.ends_with(version_path) {
            base_url.to_owned()
        } else {
            format!("{bare}{version_path}")
        }
    }

    /// The URL of its list: from the environment, else from the file, else its own template.
    fn address(
        &self,
        in_file: Option<&str>,
        environment: &Environment,
    ) -> Result<Address, ConfigError> {
        let variable = self.base_url_variable;
        // A file URL with a path (a gateway's, say) is complete, as for any other provider.
        let is_whole = |url: &str| {
            let rest = url.split_once("://").map_or("", |(_, rest)| rest);
            rest.trim_end_matches('/').contains('/')
        };
        let base_url = match (environment.get(variable), in_file) {
            (Some(url), _) => parse_base_url(variable, &url)?.to_string(),
            (None, Some(url)) if is_whole(url) => return Ok(Address::Known(url.to_owned())),
            (None, Some(url)) => url.to_owned(),
            (None, None) => match self.base_url {
                None => return Ok(Address::Lacks(variable.to_owned())),
                Some(template) => match fill_template(template, environment)? {
                    Address::Known(url) => url,
                    lacking => return Ok(lacking),
                },
            },
        };
        Ok(match fill_template(self.version_path, environment)? {
            Address::Known(version_path) => {
                Address::Known(Self::with_version(&base_url, &version_path))
            }
            lacking => lacking,
        })
    }
}

/// A base URL, or the name of the variable that it lacks.
enum Address {
    Known(String),
    Lacks(String),
}

/// Fills `template` with variables: `{A|B}` takes the first of `A` and `B` that is set. Fails when
/// a value could change another part of the URL.
fn fill_template(template: &str, environment: &Environment) -> Result<Address, ConfigError> {
    let mut whole = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (names, after) = after.split_once('}').unwrap_or((after, ""));
        let mut set = names
            .split('|')
            .filter_map(|name| Some((name, environment.get(name)?)));
        let Some((name, value)) = set.next() else {
            return Ok(Address::Lacks(names.replace('|', " or ")));
        };
        // The value becomes part of a host or path. It must not change any other part of the URL,
        // or the key would go to another host.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !value.bytes().all(is_plain) {
            return Err(ConfigError(format!(
                "{name} cannot be a part of a URL: use only letters, digits, - and _"
            )));
        }
        whole.push_str(before);
        whole.push_str(&value);
        rest = after;
    }
    whole.push_str(rest);
    Ok(Address::Known(whole))
}

/// The result of reading one preset.
enum Outcome {
    /// It is on, with or without a key.
    Listed { has_key: bool },
    /// The file turns it off.
    Off,
    /// It has no key and does not count as on without one.
    NoKey,
    /// It is on but needs this variable.
    Lacks(String),
}

impl Settings {
    /// Adds the presets that are on and records what the others need. `take_table` gives a preset's
    /// table in the file. With `public_lists`, presets with a public list need no key.
    pub(super) fn add_presets(
        &mut self,
        mut take_table: impl FnMut(&str) -> Option<Table>,
        public_lists: bool,
        environment: &Environment,
        secrets: &mut Secrets,
    ) -> Result<(), ConfigError> {
        for preset in &PRESETS {
            let name = preset.name;
            let table = take_table(name).unwrap_or_default();
            let without_key = table.enabled == Some(true) || (public_lists && preset.public_list);
            let outcome = self.add_preset(preset, &table, without_key, environment, secrets)?;
            let has_url = environment.get(preset.base_url_variable).is_some();
            let (state, hint) = match outcome {
                Outcome::Listed { has_key: true } => (PresetState::On, None),
                Outcome::Listed { has_key: false } => (PresetState::OnWithoutKey, None),
                Outcome::Off => {
                    let hint = format!("switched off: [providers.{name}] has enabled = false");
                    (PresetState::Off, Some(hint))
                }
                Outcome::NoKey => {
                    let hint = format!("set {} to list its models", preset.key_names());
                    match has_url {
                        true => (PresetState::Incomplete, Some(hint)),
                        false => (PresetState::NotSet, Some(hint)),
                    }
                }
                Outcome::Lacks(variable) => {
                    let hint = format!("set {variable} to list its models");
                    (PresetState::Incomplete, Some(hint))
                }
            };
            if let Some(hint) = &hint
                && (preset.is_suggested || state == PresetState::Incomplete)
            {
                self.config.unconfigured.push(Unconfigured {
                    name: parse_name(name)?,
                    kind: preset.kind,
                    hint: hint.clone(),
                });
            }
            self.config.presets.push(PresetStatus {
                name,
                kind: preset.kind,
                state,
                key_variables: preset.key_variables,
                further_variables: preset.further_variables(),
                base_url_variable: preset.base_url_variable,
                base_url: preset.base_url,
                public_list: preset.public_list,
                hint,
            });
        }
        Ok(())
    }

    /// Adds `preset` when its key is set, or without a key when `without_key` allows it.
    fn add_preset(
        &mut self,
        preset: &Preset,
        table: &Table,
        without_key: bool,
        environment: &Environment,
        secrets: &mut Secrets,
    ) -> Result<Outcome, ConfigError> {
        let name = preset.name;
        if table.enabled == Some(false) {
            return Ok(Outcome::Off);
        }
        let key = match secrets.read_variables(preset.key_variables)? {
            Some(key) => Some(key),
            None => secrets.read_places(name, table.key_places())?,
        };
        if key.is_none() && table.base_url.is_none() && !without_key {
            let variable = preset.base_url_variable;
            if environment.get(variable).is_some() {
                secrets.warnings.push(format!(
                    "{variable} is set without a key, so {name} is not listed: set {}",
                    preset.key_names()
                ));
            }
            return Ok(Outcome::NoKey);
        }
        let base_url = match preset.address(table.base_url.as_deref(), environment)? {
            Address::Known(url) => url,
            Address::Lacks(variable) => {
                let what = match key {
                    Some(_) => format!("the key of {name} is set"),
                    None => format!("{name} is switched on"),
                };
                secrets.warnings.push(format!(
                    "{what} but {variable} is not, so {name} is not listed: set {variable}"
                ));
                return Ok(Outcome::Lacks(variable));
            }
        };
        let kind = table.kind.unwrap_or(preset.kind);
        let mut source = SourceConfig::provider(name, kind, &base_url, None)?;
        // The query parameters belong to the preset's own kind.
        if kind == preset.kind {
            source.query = preset.query;
        }
        let has_key = key.is_some();
        self.add(source, key, table)?;
        Ok(Outcome::Listed { has_key })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fill(template: &str) -> Result<String, String> {
        let environment = Environment::new(|name| match name {
            "A" => Some("eu-1".to_owned()),
            "B" => Some("b".to_owned()),
            "BAD" => Some("evil.example/?".to_owned()),
            _ => None,
        });
        match fill_template(template, &environment).map_err(|error| error.to_string())? {
            Address::Known(text) => Ok(text),
            Address::Lacks(variable) => Err(variable),
        }
    }

    #[rstest]
    #[case("https://x", "https://x")]
    #[case("https://x.{A}.y/{B}/z", "https://x.eu-1.y/b/z")]
    #[case("{NOT|B}", "b")]
    #[case("{A|B}", "eu-1")]
    fn templates_take_the_first_variable_that_is_set(#[case] template: &str, #[case] whole: &str) {
        assert_eq!(fill(template).as_deref(), Ok(whole));
    }

    #[test]
    fn a_variable_that_is_missing_or_changes_the_host_is_named() {
        assert_eq!(fill("{A}.{NOT|NEITHER}").unwrap_err(), "NOT or NEITHER");
        let refused = fill("https://{BAD}.amazonaws.com").unwrap_err();
        assert!(
            refused.starts_with("BAD ") && !refused.contains("evil"),
            "{refused}"
        );
    }
}
