//! Who may have providers asked: whoever presents the admin key, or, without one, callers on this
//! machine.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use axum_extra::headers::{Authorization, HeaderMapExt, authorization::Bearer};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use crate::Catalog;

/// The caller is an operator.
///
/// With an admin key: the request carries it as a bearer token. Without: a caller on this machine
/// that is no web page of elsewhere (the peer, `Host` and `Origin` are loopback, and no proxy speaks
/// for somebody else).
pub struct Operator;

impl FromRequestParts<Catalog> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, catalog: &Catalog) -> Result<Self, ApiError> {
        match catalog.admin_key() {
            Some(key) if presents(&parts.headers, key) => Ok(Self),
            Some(_) => Err(ApiError::no_admin_key()),
            None if is_local(parts) => Ok(Self),
            None => Err(ApiError::invalid(
                StatusCode::FORBIDDEN,
                "local_only",
                "This is for callers on the catalog's own machine: use http://127.0.0.1 there, without a proxy, or set MODEL_CATALOG_ADMIN_KEY.",
            )),
        }
    }
}

fn presents(headers: &HeaderMap, key: &SecretString) -> bool {
    // Hashes are compared: how long that takes tells nothing of the key.
    headers
        .typed_get::<Authorization<Bearer>>()
        .is_some_and(|presented| {
            Sha256::digest(presented.token()) == Sha256::digest(key.expose_secret())
        })
}

fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && is_local_host(parts)
        && is_local_origin(&parts.headers)
        && !["forwarded", "x-forwarded-for", "x-real-ip", "via"]
            .iter()
            .any(|name| parts.headers.contains_key(*name))
}

fn is_local_host(parts: &Parts) -> bool {
    // HTTP/2 has it in the URI.
    let named = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().to_owned())
        .or_else(|| Some(parts.headers.get(header::HOST)?.to_str().ok()?.to_owned()));
    named.is_some_and(|host| is_loopback_url(&format!("http://{host}")))
}

fn is_local_origin(headers: &HeaderMap) -> bool {
    headers
        .get(header::ORIGIN)
        .is_none_or(|origin| origin.to_str().is_ok_and(is_loopback_url))
}

fn is_loopback_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| crate::config::is_loopback(&url))
}
