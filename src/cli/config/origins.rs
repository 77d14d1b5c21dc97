//! Where settings came from: a flag beats the environment, which beats the file. The rest is the default.

use std::fs;

use serde::Serialize;

use crate::{
    cli::text::printable,
    config::{
        Config, PresetStatus,
        environment::Environment,
        read::{Flags, settings_file},
        source::SourceConfig,
    },
    model::source::Role,
};

/// A setting, and what can set it.
struct Places {
    flag: Option<&'static str>,
    variables: &'static [&'static str],
    /// Its name in the file.
    key: &'static str,
}

/// The settings of the catalog itself, by their name in the output.
const SETTINGS: [(&str, Places); 8] = [
    (
        "listen",
        places(Some("--listen"), &["MODEL_CATALOG_LISTEN"], "listen"),
    ),
    (
        "database",
        places(Some("--database-url"), &["DATABASE_URL"], "database_url"),
    ),
    (
        "admin key",
        places(
            None,
            &["MODEL_CATALOG_ADMIN_KEY", "MODEL_CATALOG_ADMIN_KEY_FILE"],
            "admin_key",
        ),
    ),
    ("client keys", places(None, &[], "keys")),
    ("webhooks", places(None, &[], "webhooks")),
    ("watched models", places(None, &[], "watch")),
    ("enrichment", places(None, &[], "enrichment")),
    (
        "local servers",
        places(None, &["MODEL_CATALOG_DISCOVER"], "discover"),
    ),
];

const fn places(
    flag: Option<&'static str>,
    variables: &'static [&'static str],
    key: &'static str,
) -> Places {
    Places {
        flag,
        variables,
        key,
    }
}

/// What says anything.
#[derive(Debug, Serialize)]
pub struct Origins {
    flags: Vec<&'static str>,
    /// The variables that were read.
    environment: Vec<String>,
    /// The path of the settings file.
    file: Option<String>,
    #[serde(skip)]
    in_file: toml::Table,
}

impl Origins {
    /// What `flags`, `environment` and the settings file say. To be called when the settings have been
    /// read.
    pub fn of(flags: &Flags, environment: &Environment<'_>) -> Self {
        let file = settings_file(flags, environment);
        // It has been read and understood a moment ago.
        let text = file.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let in_file = text.and_then(|text| toml::from_str(&text).ok());
        let set = [
            ("--listen", flags.listen.is_some()),
            ("--database-url", flags.database_url.is_some()),
            ("--config", flags.config.is_some()),
            ("--log-format", flags.log_format.is_some()),
        ];
        let flags = set.iter().filter(|(_, is_set)| *is_set);
        Self {
            flags: flags.map(|(name, _)| *name).collect(),
            environment: environment.used(),
            file,
            in_file: in_file.unwrap_or_default(),
        }
    }

    /// What has set the setting called `name` in the output: a flag, a variable, `file` or `default`.
    pub fn of_setting(&self, name: &str) -> &str {
        let found = SETTINGS.iter().find(|(setting, _)| *setting == name);
        let Some((_, places)) = found else {
            return "default";
        };
        let flag = places.flag.filter(|flag| self.flags.contains(flag));
        let variable = || self.find_variable(places.variables);
        let in_file = || self.in_file.contains_key(places.key).then_some("file");
        flag.or_else(variable).or_else(in_file).unwrap_or("default")
    }

    /// What has set `source`, separated by commas: the variables of its key and URL, and `file`.
    pub fn of_source(&self, config: &Config, source: &SourceConfig) -> String {
        let name = source.name.as_str();
        let mut origins: Vec<&str> = Vec::new();
        let (table, list) = match source.role {
            Role::Provider => ("providers", None),
            Role::Endpoint => ("endpoints", Some("MODEL_CATALOG_ENDPOINTS")),
        };
        let table = self.in_file.get(table).and_then(|table| table.get(name));
        let preset = config.presets.iter().find(|preset| preset.name == name);
        if let Some(preset) = preset.filter(|_| source.role == Role::Provider) {
            origins.extend(self.of_preset(preset));
        }
        // A listed endpoint may have further settings in the file.
        let has_url = table.is_some_and(|table| table.get("base_url").is_some());
        origins.extend(list.filter(|_| !has_url));
        origins.extend(table.map(|_| "file"));
        match origins.is_empty() {
            true => "default".to_owned(),
            false => origins.join(", "),
        }
    }

    /// The variables that have switched on or moved a well-known provider.
    fn of_preset(&self, preset: &PresetStatus) -> Vec<&str> {
        let key = preset.key_variables.iter().find_map(|name| {
            let used = self.environment.iter();
            let mut used = used.filter(|used| used.strip_suffix("_FILE").unwrap_or(used) == *name);
            used.next().map(String::as_str)
        });
        let url = self.find_variable(&[preset.base_url_variable]);
        let without_key = || self.find_variable(&["MODEL_CATALOG_PUBLIC_LISTS"]);
        key.or_else(without_key).into_iter().chain(url).collect()
    }

    /// The first of `variables` that is set.
    fn find_variable(&self, variables: &[&str]) -> Option<&str> {
        let mut used = self.environment.iter().map(String::as_str);
        used.find(|used| variables.contains(used))
    }

    /// All of them, in lines for people.
    pub fn describe(&self) -> String {
        let file = self
            .file
            .as_ref()
            .map_or_else(String::new, |path| printable(path));
        let said = [
            ("flags", self.flags.join(", ")),
            ("environment", self.environment.join(", ")),
            ("file", file),
        ];
        let said = said.iter().filter(|(_, what)| !what.is_empty());
        let said: Vec<String> = said
            .map(|(place, what)| format!("  {place}: {what}"))
            .collect();
        match said.is_empty() {
            true => {
                "\nall of it is the default: no flag, variable or file says anything\n".to_owned()
            }
            false => format!(
                "\nset by (the first that sets something counts; the rest is the default):\n{}\n",
                said.join("\n")
            ),
        }
    }
}
