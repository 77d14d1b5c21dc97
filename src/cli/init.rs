//! `model-catalog config init`: asks three questions, and writes a settings file.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, BufRead, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    process::ExitCode,
};

use anyhow::{anyhow, bail};

use super::files::print;
use crate::{
    config::{
        PresetStatus,
        environment::Environment,
        read::{DEFAULT_LISTEN, Flags, Settings},
        source::SourceConfig,
    },
    model::closest::closest,
};

/// The variable with the key of clients, when others may read the catalog.
const CLIENT_KEY: &str = "MODEL_CATALOG_CLIENT_KEY";

/// `model-catalog config init`.
#[derive(Clone, Debug, clap::Args)]
pub struct Init {
    /// The file to write, which must not exist yet
    #[arg(value_name = "FILE", default_value = "model-catalog.toml")]
    pub file: String,
}

/// What was answered.
#[derive(Debug, Default)]
struct Answers {
    providers: Vec<&'static str>,
    servers: Vec<String>,
    listen: Option<String>,
}

impl Init {
    /// Asks, writes the file, and says what to do next.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        // The presets, whatever this machine has set.
        let nothing = Environment::new(|_| None);
        let presets = Settings::read(&Flags::default(), &nothing)?.config.presets;
        let answers = Answers::ask(&presets, &mut io::stdin().lock())?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    anyhow!(
                        "{} exists and is left as it is: name another file",
                        self.file
                    )
                }
                _ => anyhow!("cannot write {}: {error}", self.file),
            })?;
        file.write_all(answers.settings(&presets).as_bytes())
            .map_err(|error| anyhow!("cannot write {}: {error}", self.file))?;
        print(&answers.next_steps(&presets, &self.file))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Answers {
    /// Asks each question until the answer can be used.
    fn ask(presets: &[PresetStatus], input: &mut impl BufRead) -> anyhow::Result<Self> {
        let names: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
        let providers = ask(
            &format!(
                "Which providers? Their names with spaces between them, or nothing.\n({})",
                names.join(" ")
            ),
            input,
            |answer| {
                answer
                    .split_whitespace()
                    .map(|name| find(&names, name))
                    .collect()
            },
        )?;
        let servers = ask(
            "Which local servers, besides those that are found on this machine? Their URLs, or nothing.",
            input,
            |answer| {
                let urls = answer.split_whitespace();
                urls.map(|url| SourceConfig::endpoint("server", url).map(|_| url.to_owned()))
                    .collect::<Result<Vec<String>, _>>()
                    .map_err(|error| error.to_string())
            },
        )?;
        let listen = ask(
            &format!(
                "Where to listen? Nothing for this machine alone ({DEFAULT_LISTEN}), or an address such as 0.0.0.0:8484."
            ),
            input,
            |answer| match answer {
                "" => Ok(None),
                address if address.parse::<SocketAddr>().is_ok() => Ok(Some(address.to_owned())),
                _ => Err(format!(
                    "`{answer}` is no address with a port, such as {DEFAULT_LISTEN}"
                )),
            },
        )?;
        Ok(Self {
            providers,
            servers,
            listen,
        })
    }

    /// Whether other machines may ask.
    fn is_public(&self) -> bool {
        let address = self
            .listen
            .as_ref()
            .and_then(|listen| listen.parse::<SocketAddr>().ok());
        address.is_some_and(|address| !address.ip().is_loopback())
    }

    /// The settings file.
    fn settings(&self, presets: &[PresetStatus]) -> String {
        let mut text = String::from(
            "# Settings of model-catalog. `model-catalog config example` prints all that there are.\n",
        );
        // Writing to a text cannot fail.
        if let Some(listen) = &self.listen {
            let _ = write!(text, "\nlisten = \"{listen}\"\n");
        }
        for preset in chosen(presets, &self.providers) {
            let variables = preset.key_variables.join(" or ");
            let _ = write!(
                text,
                "\n# Its key is in {variables}, or in a file: api_key_file = \"/run/secrets/{0}\"\n[providers.{0}]\n",
                preset.name
            );
        }
        for (number, url) in self.servers.iter().enumerate() {
            let _ = write!(
                text,
                "\n[endpoints.server-{}]\nbase_url = \"{url}\"\n",
                number + 1
            );
        }
        if self.is_public() {
            let _ = write!(
                text,
                "\n# Other machines can reach it: they need this key.\n[[keys]]\nname = \"clients\"\nkey_env = \"{CLIENT_KEY}\"\n"
            );
        }
        text
    }

    /// What to type now.
    fn next_steps(&self, presets: &[PresetStatus], file: &str) -> String {
        let mut text = format!("\nwrote {file}. Next:\n");
        for preset in chosen(presets, &self.providers) {
            let variables = preset.key_variables.iter().take(1).copied();
            let others = preset
                .further_variables
                .iter()
                .filter_map(|names| names.first());
            for variable in variables.chain(others.copied()) {
                let _ = writeln!(text, "  export {variable}=…");
            }
        }
        if self.is_public() {
            let _ = writeln!(text, "  export {CLIENT_KEY}=\"$(openssl rand -hex 32)\"");
        }
        let _ = writeln!(text, "  model-catalog config check --config {file}");
        let _ = writeln!(text, "  model-catalog serve --config {file}");
        text
    }
}

/// The presets with these names.
fn chosen<'p>(presets: &'p [PresetStatus], names: &[&str]) -> Vec<&'p PresetStatus> {
    let is_chosen = |preset: &&PresetStatus| names.contains(&preset.name);
    presets.iter().filter(is_chosen).collect()
}

/// The one of `names` that is `name`, or which one may have been meant.
fn find(names: &[&'static str], name: &str) -> Result<&'static str, String> {
    if let Some(known) = names.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(known);
    }
    let meant = closest(name, names.iter().copied());
    Err(match meant.first() {
        Some(meant) => format!("there is no provider `{name}`: did you mean {meant}?"),
        None => format!(
            "there is no provider `{name}` among them; others go into [providers] of the file"
        ),
    })
}

/// Asks `question` until the answer is read without an error, which is said.
fn ask<T>(
    question: &str,
    input: &mut impl BufRead,
    read: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    print(&format!("{question}\n"))?;
    loop {
        print("> ")?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            bail!("there was no answer to: {question}");
        }
        match read(line.trim()) {
            Ok(answer) => return Ok(answer),
            Err(error) => print(&format!("{error}\n"))?,
        }
    }
}
