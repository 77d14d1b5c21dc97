//! The door: requests that no honest client sends are refused on every route. Two `Host`s or `Origin`s
//! are read differently by a proxy and by what is behind it; a public name on a listener of this machine
//! alone is a web page's (DNS rebinding).

use std::net::SocketAddr;

use axum::{
    extract::{MatchedPath, Request},
    http::{
        StatusCode,
        header::{HOST, ORIGIN},
    },
};

use super::error::{ApiError, shortened};
use crate::{catalog::Catalog, config::hosts::AllowedHosts};

/// Operators have a rule of their own, which is stricter without an admin key and asks for it with one.
const OPERATORS_ROUTE: &str = "/catalog/refresh";

/// What the door lets in.
#[derive(Clone, Debug)]
pub struct Door {
    catalog: Catalog,
    /// Whether only this machine can connect.
    is_local: bool,
}

impl Door {
    /// The door of `catalog` on a listener at `listens_on`. Where keys are needed, or where others may
    /// connect anyhow, any host may be named.
    pub fn new(catalog: &Catalog, listens_on: Option<SocketAddr>) -> Self {
        Self {
            catalog: catalog.clone(),
            is_local: listens_on.is_some_and(|own| own.ip().to_canonical().is_loopback()),
        }
    }

    /// The hosts that requests may name; none when any may be.
    fn hosts(&self) -> Option<&AllowedHosts> {
        let guards = self.is_local && !self.catalog.in_force().keys.are_needed();
        guards.then(|| self.catalog.allowed_hosts())
    }

    /// Refuses what may not come in.
    pub fn check(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        for name in [HOST, ORIGIN] {
            if headers.get_all(&name).iter().nth(1).is_some() {
                let message = format!("The request has two {name} headers: send one.");
                return Err(ApiError::bad("duplicate_header", message));
            }
        }
        let route = request.extensions().get::<MatchedPath>();
        let has_own_rule = route.is_some_and(|route| route.as_str() == OPERATORS_ROUTE);
        let Some(hosts) = self.hosts().filter(|_| !has_own_rule) else {
            return Ok(());
        };
        let of_header = headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
        let of_uri = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        match of_header
            .into_iter()
            .chain(of_uri)
            .find(|host| !hosts.allows(host))
        {
            None => Ok(()),
            Some(host) => Err(ApiError::foreign_host(host)),
        }
    }
}

impl ApiError {
    /// A 403: a web page may have pointed its own name at this machine.
    fn foreign_host(host: &str) -> Self {
        let message = format!(
            "This catalog is for its own machine and is not served as {}: add that name to allowed_hosts (MODEL_CATALOG_ALLOWED_HOSTS) if it is yours.",
            shortened(host)
        );
        Self::invalid(StatusCode::FORBIDDEN, "foreign_host", message)
    }
}
