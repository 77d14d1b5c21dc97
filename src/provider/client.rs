//! The HTTP clients: for providers, for providers that must bypass proxies, for endpoints and for
//! webhooks.

use std::sync::Arc;

use reqwest::{Client, Url, redirect};
use tokio::sync::Semaphore;

use crate::{
    config::{source::SourceConfig, url::is_loopback},
    model::source::Role,
};

/// The HTTP clients for sources and webhooks.
#[derive(Clone, Debug)]
pub struct Clients {
    providers: Client,
    /// Providers on this machine or without TLS: a proxy would receive their keys.
    direct_providers: Client,
    endpoints: Client,
    /// Targets of webhooks on this machine.
    local_webhooks: Client,
    /// Targets of webhooks elsewhere.
    webhooks: Client,
    /// Lets one large answer be read at a time.
    pub(super) large: Arc<Semaphore>,
    /// Why no certificate can be checked, if that is so.
    pub tls_problem: Option<String>,
}

/// Most redirects to follow, all within one host.
const MAX_REDIRECTS: usize = 3;

impl Clients {
    /// Builds the clients with the system's certificate roots. Without any, plain HTTP still works,
    /// every HTTPS source fails, and [`Clients::tls_problem`] has the reason.
    pub fn new() -> Result<Self, reqwest::Error> {
        match Self::build(|builder| builder) {
            Ok(clients) => Ok(clients),
            Err(error) => {
                let mut clients = Self::build(|builder| builder.tls_certs_only([]))?;
                clients.tls_problem = Some(root_cause(&error));
                Ok(clients)
            }
        }
    }

    fn build(
        roots: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            roots(Client::builder())
                .user_agent(concat!("model-catalog/", env!("CARGO_PKG_VERSION")))
                .referer(false)
        };
        Ok(Self {
            // The target of a redirect gets all our headers, including the key: same host only.
            providers: builder()
                .redirect(redirect::Policy::custom(within_one_host))
                .build()?,
            direct_providers: builder()
                .redirect(redirect::Policy::custom(within_one_host))
                .no_proxy()
                .build()?,
            // Local servers have no reason to redirect elsewhere, nor to be behind a proxy.
            endpoints: builder()
                .redirect(redirect::Policy::custom(only_adding_a_slash))
                .no_proxy()
                .build()?,
            local_webhooks: builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .build()?,
            webhooks: builder().redirect(redirect::Policy::none()).build()?,
            large: Arc::new(Semaphore::new(1)),
            tls_problem: None,
        })
    }

    pub(super) fn of(&self, source: &SourceConfig) -> &Client {
        match source.role {
            Role::Provider => self.of_url(&source.base_url),
            Role::Endpoint => &self.endpoints,
        }
    }

    /// Returns the client for a service at `url` that is not an endpoint.
    pub fn of_url(&self, url: &Url) -> &Client {
        if url.scheme() == "http" || is_loopback(url) {
            &self.direct_providers
        } else {
            &self.providers
        }
    }
}

impl Clients {
    /// Returns the client for the target of a webhook.
    pub fn of_webhook(&self, url: &Url) -> &Client {
        if is_loopback(url) {
            &self.local_webhooks
        } else {
            &self.webhooks
        }
    }
}

fn within_one_host(attempt: redirect::Attempt) -> redirect::Action {
    let origin = attempt.previous().first().map(Url::origin);
    if origin == Some(attempt.url().origin()) && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        // The redirect itself becomes the answer: an error that names its target.
        attempt.stop()
    }
}

/// Follows a redirect that only adds a slash to the path, as Python's web frameworks send it:
/// `/v1/models/`.
fn only_adding_a_slash(attempt: redirect::Attempt) -> redirect::Action {
    let adds_a_slash = attempt.previous().last().is_some_and(|from| {
        let mut slashed = from.clone();
        slashed.set_path(&format!("{}/", from.path()));
        // Some servers drop the query.
        let same_query = attempt
            .url()
            .query()
            .is_none_or(|query| from.query() == Some(query));
        slashed.set_query(attempt.url().query());
        slashed == *attempt.url() && same_query
    });
    if adds_a_slash && attempt.previous().len() == 1 {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |cause| cause.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}
