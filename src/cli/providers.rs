//! `model-catalog providers`: lists every preset, its variables, and whether it is on. Makes no
//! requests.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::files::print;
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
            table(&providers)
        };
        print(&format!("{text}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(providers: &[PresetStatus]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PROVIDER", "STATE", "LIST", "KEY", "BASE URL"]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for provider in providers {
        let key = provider.key_variables.join(" or ");
        let further = provider.further_variables.iter();
        let further: Vec<String> = further.map(|names| names.join(" or ")).collect();
        let base_url = provider.base_url_variable;
        table.add_row([
            provider.name,
            state(provider.state),
            if provider.public_list { "public" } else { "" },
            &[&[key], further.as_slice()].concat().join(" with "),
            &match provider.base_url {
                Some(_) => base_url.to_owned(),
                None => format!("{base_url} (needed)"),
            },
        ]);
    }
    let is_on = |provider: &&PresetStatus| {
        matches!(provider.state, PresetState::On | PresetState::OnWithoutKey)
    };
    let on = providers.iter().filter(is_on).count();
    let mut text = format!("{}\n\n", table.trim_fmt());
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
