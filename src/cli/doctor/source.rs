//! Asks one source for its list, and says what to do when it does not give it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::Check;
use crate::{
    config::source::SourceConfig,
    model::{fetch::ErrorKind, source::Role, time::Clock},
    provider::{self, Known, client::Clients},
};

/// How long a source may take for its list.
const SOURCE_LIMIT: Duration = Duration::from_secs(10);

/// Asks `source` for its list: what became of it, and how far this machine's clock is ahead of its.
pub(super) async fn ask(
    clients: &Clients,
    source: &SourceConfig,
    proxies: &[(&str, String)],
) -> (Check, Option<(String, TimeDelta)>) {
    let name = source.name.to_string();
    let begin = Instant::now();
    let now = Clock::system().now();
    let fetched = provider::fetch(clients, source, Known::default(), SOURCE_LIMIT, now).await;
    let seconds = begin.elapsed().as_secs_f32();
    match fetched {
        Ok(fetched) => {
            let listing = fetched.listing;
            let mut message = format!("{} models in {seconds:.1} s", listing.entries.len());
            if listing.skipped.count > 0 {
                message += &format!("; {} entries cannot be used", listing.skipped.count);
            }
            let ahead = listing
                .sent_at
                .map(|sent_at| (name.clone(), now.since(sent_at)));
            (Check::new(&name, Ok(message)), ahead)
        }
        Err(error) => {
            let message = format!("{error}; {}", advice(error.kind, source, proxies));
            (Check::new(&name, Err(message)), None)
        }
    }
}

/// What to do about an error of `source`.
fn advice(kind: ErrorKind, source: &SourceConfig, proxies: &[(&str, String)]) -> String {
    let is_provider = source.role == Role::Provider;
    let proxy = proxies
        .first()
        .filter(|_| is_provider && source.base_url.scheme() == "https");
    match (kind, proxy) {
        (ErrorKind::Timeout | ErrorKind::Unreachable, Some((name, host))) => {
            format!("check the proxy {host} of {name}, and the network behind it")
        }
        (ErrorKind::Timeout | ErrorKind::Unreachable, None) if is_provider => {
            "check the network, or set HTTPS_PROXY if there is a proxy".to_owned()
        }
        (ErrorKind::Timeout | ErrorKind::Unreachable, None) => {
            "start the server, or correct its base_url".to_owned()
        }
        (ErrorKind::Tls, _) => "see `certificates`, or correct its base_url".to_owned(),
        (ErrorKind::Unauthorized | ErrorKind::Forbidden, _) => {
            "set its key to a valid one that may list models".to_owned()
        }
        (ErrorKind::RateLimited | ErrorKind::Unavailable, _) => {
            "nothing to do here: the catalog tries again by itself".to_owned()
        }
        _ => "correct its base_url or kind, or see its documentation".to_owned(),
    }
}
