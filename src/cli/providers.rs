//! `model-catalog providers`: lists every preset, its variables, and whether it is on. Makes no
//! requests.

use std::process::ExitCode;

use serde::Serialize;

use super::{files::print, text::table};
use crate::config::{
    PresetState, PresetStatus,
    environment::Environment,
    read::{Flags, Settings},
};

/// `model-catalog providers`.
#[derive(Clone, Debug, clap::Args)]
pub struct Providers {
    /// TOML file with further settings (MODEL_CATALOG_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    providers: &'a [PresetStatus],
}

impl Providers {
    /// Prints the presets according to the settings.
    pub fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let flags = Flags {
            config: self.config.clone(),
            ..Flags::default()
        };
        let providers = Settings::read(&flags, environment)?.config.presets;
        let text = if self.json {
            serde_json::to_string_pretty(&Answer {
                providers: &providers,
            })?
        } else {
            text(&providers)
        };
        print(&format!("{text}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(providers: &[PresetStatus]) -> String {
    let rows = providers.iter().map(|provider| {
        let key = provider.key_variables.join(" or ");
        let further = provider.further_variables.iter();
        let further: Vec<String> = further.map(|names| names.join(" or ")).collect();
        let base_url = provider.base_url_variable;
        [
            provider.name.to_owned(),
            state(provider.state).to_owned(),
            if provider.public_list { "public" } else { "" }.to_owned(),
            [&[key], further.as_slice()].concat().join(" with "),
            match provider.base_url {
                Some(_) => base_url.to_owned(),
                None => format!("{base_url} (needed)"),
            },
        ]
    });
    let table = table(["PROVIDER", "STATE", "LIST", "KEY", "BASE URL"], rows);
    let is_on = |provider: &&PresetStatus| {
        matches!(provider.state, PresetState::On | PresetState::OnWithoutKey)
    };
    let on = providers.iter().filter(is_on).count();
    let mut text = format!("{table}\n\n");
    for provider in providers {
        if let (PresetState::Incomplete, Some(hint)) = (provider.state, &provider.hint) {
            text += &format!("{}: {hint}\n", provider.name);
        }
    }
    text += &format!(
        "{on} of {} are on. To switch one on, set the variable of its key (or <VARIABLE>_FILE).\n\
         To fetch public lists without a key, set `enabled = true` in [providers.name], or for all of them\n\
         MODEL_CATALOG_PUBLIC_LISTS=true.",
        providers.len(),
    );
    text
}

/// The `state` column of the table.
fn state(state: PresetState) -> &'static str {
    match state {
        PresetState::On => "on",
        PresetState::OnWithoutKey => "on, no key",
        PresetState::NotSet => "",
        PresetState::Incomplete => "incomplete",
        PresetState::Off => "switched off",
    }
}
