//! `model-catalog demo`: half a year of made-up history, and then stand-ins of providers and local
//! servers inside the process, of which one changes now and again, one fails, one is held and one comes
//! and goes. The demo has no other sources and no other database, and probes no ports.

mod diary;
mod stand_ins;

use std::{collections::BTreeSet, future::Future, io, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use tokio::net::TcpListener;
use tracing::subscriber::NoSubscriber;

use self::stand_ins::{Mood, Plays, STAND_INS, StandIns};
use crate::{
    catalog::{Catalog, StartError},
    config::{
        Config,
        environment::Environment,
        error::ConfigError,
        read::{Flags, Settings},
        source::SourceConfig,
    },
    model::{source::Kind, time::Clock},
    server::{self, RunError},
};

/// A short TTL, so that changes show quickly.
const TTL: TimeDelta = TimeDelta::seconds(5);
/// Within the first minute everything happens once, this far apart: longer than it takes to be listed.
const FIRST_STEPS: Duration = Duration::from_secs(7);
/// How often one model changes after that.
const CHANGE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a list that is suddenly short stays so. It is believed after ten minutes.
const SHORT: Duration = Duration::from_secs(9 * 60);
/// Time limit of a fetch while the history is made, in which some sources do not answer.
const HISTORY_TIMEOUT: Duration = Duration::from_millis(300);

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stand-ins or the temporary directory could not be made.
    #[error("cannot start the demo: {0}")]
    Io(#[from] io::Error),
    /// The file for the database is there already.
    #[error("{} exists, and the demo begins a database of its own: name a file that does not exist", .0.display())]
    Exists(PathBuf),
    /// The stand-ins' addresses were refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The history could not be made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The service failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Serves the stand-ins' models on `listener` until `shutdown` ends, from a new database: the file
/// `database`, which stays, or one in a temporary directory. `config` has no say in either.
pub async fn run(
    config: Config,
    listener: TcpListener,
    database: Option<PathBuf>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DemoError> {
    if let Some(path) = database.as_ref().filter(|path| path.exists()) {
        return Err(DemoError::Exists(path.clone()));
    }
    let directory = tempfile::tempdir()?;
    let database = database.unwrap_or_else(|| directory.path().join("catalog.db"));
    let served = TcpListener::bind("127.0.0.1:0").await?;
    let mut config = Config {
        database_url: Config::new(&format!("sqlite://{}", database.display()))?.database_url,
        sources: sources(&format!("http://{}", served.local_addr()?))?,
        discovery_ports: Vec::new(),
        unconfigured: Vec::new(),
        ..config
    };
    let stand_ins = StandIns::new();
    let router = stand_ins.clone().router();
    let standing_in = async {
        // Ends only with an error. The service goes on without the stand-ins, as it would with real
        // providers.
        if let Err(error) = axum::serve(served, router).await {
            tracing::error!(%error, "the stand-in providers failed");
        }
        std::future::pending().await
    };
    let serving = async {
        let mut shutdown = Box::pin(shutdown);
        tokio::select! {
            made = make_history(config.clone(), stand_ins.clone()) => made?,
            () = &mut shutdown => return Ok(()),
        }
        for source in &mut config.sources {
            source.ttl = TTL;
            source.max_stale = source.max_stale.map(|_| TTL);
        }
        tracing::info!(
            "a demo with made-up models: everything that can happen to a list happens within a minute"
        );
        tokio::select! {
            ended = server::run(config, listener, shutdown) => Ok(ended?),
            never = live(&stand_ins) => never,
            never = shorten(&stand_ins) => never,
        }
    };
    tokio::select! {
        ended = serving => ended,
        never = standing_in => never,
    }
}

/// The settings of a demo: those of the file `config` and of the service's own variables. Keys of
/// providers, which this machine may have set, are not among them.
pub(super) fn settings(
    listen: Option<String>,
    config: Option<String>,
    environment: &Environment<'_>,
) -> Result<Settings, ConfigError> {
    const NOT_READ: [&str; 3] = [
        "MODEL_CATALOG_CONFIG",
        "MODEL_CATALOG_ENDPOINTS",
        "MODEL_CATALOG_PUBLIC_LISTS",
    ];
    let own = Environment::new(|name| {
        let is_own = name.starts_with("MODEL_CATALOG_") && !NOT_READ.contains(&name);
        environment.get_untrimmed(name).filter(|_| is_own)
    });
    let flags = Flags {
        listen,
        config,
        ..Flags::default()
    };
    let mut settings = Settings::read(&flags, &own)?;
    if !settings.config.sources.is_empty() {
        let warning = "the demo has sources of its own: those of the settings are not asked";
        settings.warnings.push(warning.to_owned());
    }
    Ok(settings)
}

/// The stand-ins below `base` as sources.
fn sources(base: &str) -> Result<Vec<SourceConfig>, ConfigError> {
    let source = |(name, plays, _): &(&str, Plays, Option<&str>)| {
        let url = format!("{base}/{name}");
        let versioned = format!("{url}/v1");
        match plays {
            Plays::OpenAi => SourceConfig::provider(name, Kind::OpenAi, &versioned, None),
            Plays::Google => SourceConfig::provider(name, Kind::Google, &url, None),
            Plays::Anthropic => SourceConfig::provider(name, Kind::Anthropic, &url, None),
            Plays::Local => SourceConfig::endpoint(name, &url).map(|source| SourceConfig {
                kind: Kind::OpenAi,
                ..source
            }),
        }
    };
    STAND_INS.iter().map(source).collect()
}

/// Makes the history on its own thread, with logging off: hundreds of old changes are no news.
async fn make_history(config: Config, stand_ins: StandIns) -> Result<(), DemoError> {
    let made = tokio::task::spawn_blocking(move || {
        let _silence = tracing::subscriber::set_default(NoSubscriber::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(go_through_diary(&config, &stand_ins))?)
    });
    made.await.map_err(io::Error::other)?
}

/// Lets the clock of a catalog go through the diary.
async fn go_through_diary(config: &Config, stand_ins: &StandIns) -> Result<(), StartError> {
    let mut moments = diary::tell(config.clock.now()).into_iter();
    let Some(first) = moments.next() else {
        return Ok(());
    };
    first
        .happenings
        .iter()
        .for_each(|happening| stand_ins.act(happening));
    let clock = Clock::stopped_at(first.at);
    let catalog = Catalog::start(Config {
        clock: clock.clone(),
        fetch_timeout: HISTORY_TIMEOUT,
        // The made-up past raises no alert and is sent to no webhook.
        webhooks: Vec::new(),
        watch: None,
        enrichment: None,
        ..config.clone()
    })
    .await?;
    catalog.refresh(None, false).await;
    for moment in moments {
        clock.advance(moment.at.since(clock.now()));
        let mut asked = BTreeSet::new();
        for happening in &moment.happenings {
            stand_ins.act(happening);
            asked.insert(happening.source.as_str());
        }
        for source in &asked {
            catalog.refresh(Some(source), false).await;
        }
        if asked.is_empty() {
            catalog.refresh(None, false).await;
        }
    }
    catalog.stop().await;
    Ok(())
}

/// What happens from now on: at first everything at once, then a change a minute.
async fn live<T>(stand_ins: &StandIns) -> T {
    stand_ins.set_mood("workstation", Mood::Fails(Some(503)));
    for turn in 0..4 {
        for source in ["openai", "google"] {
            stand_ins.change(source, turn);
        }
        tokio::time::sleep(FIRST_STEPS).await;
        if turn == 1 {
            stand_ins.set_mood("workstation", Mood::Well);
        }
    }
    for turn in 4.. {
        for source in ["openai", "google", "anthropic", "gpu-box"] {
            tokio::time::sleep(CHANGE_INTERVAL).await;
            stand_ins.change(source, turn);
        }
    }
    std::future::pending().await
}

/// Lets one provider list three of its models for a while, again and again: its list is held.
async fn shorten<T>(stand_ins: &StandIns) -> T {
    loop {
        for mood in [Mood::Short, Mood::Well] {
            stand_ins.set_mood("vega", mood);
            tokio::time::sleep(SHORT).await;
        }
    }
}
