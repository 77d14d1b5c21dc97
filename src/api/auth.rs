//! Authentication: which key a caller holds and what it may see, and whether the caller is an
//! operator.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{self, CACHE_CONTROL, VARY},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::headers::{Authorization, HeaderMapExt, authorization::Bearer};
use reqwest::Url;

use super::{error::ApiError, request::parameters, session};
use crate::{
    catalog::Catalog,
    config::keys::{ClientKey, Holder},
    model::scope::Scope,
    snapshot::Snapshot,
};

/// The headers in which the clients of Anthropic, Google and Azure send a key. OpenAI's SDK uses
/// `Authorization`.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];
/// The query parameter in which clients of Google's REST API send it.
const KEY_PARAMETER: &str = "key";
/// The headers that answers vary on while keys are in use.
const VARY_ON: HeaderValue =
    HeaderValue::from_static("authorization, x-api-key, x-goog-api-key, api-key, cookie");

/// The caller, with its key when keys are in use. A browser that has signed in sends a cookie instead.
#[derive(Clone)]
pub struct Caller(Option<Arc<ClientKey>>);

impl Caller {
    /// Authenticates the sender of a request for `uri` with `headers`. Fails when keys are in use and
    /// it presents no valid one.
    pub fn of(catalog: &Catalog, uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let in_force = catalog.in_force();
        let keys = &in_force.keys;
        if !keys.are_needed() {
            return Ok(Self(None));
        }
        let presented: Vec<String> = keys_in_headers(headers)
            .chain(key_parameter(uri))
            .filter(|key| !key.trim().is_empty())
            .collect();
        let holder = match presented.is_empty() {
            true => session::holder(keys, headers, catalog.now()),
            false => presented.iter().find_map(|key| keys.find(key)),
        };
        match holder {
            Some(Holder::Admin) => Ok(Self(None)),
            Some(Holder::Client(key)) => Ok(Self(Some(key))),
            None => Err(ApiError::no_key(!presented.is_empty())),
        }
    }

    /// The models and sources that the caller may see.
    pub fn scope(&self) -> Arc<Scope> {
        self.0
            .as_ref()
            .map_or_else(Arc::default, |key| key.scope.clone())
    }

    /// The part of `snapshot` that the caller may see.
    pub fn sees(&self, snapshot: &Arc<Snapshot>) -> Result<Arc<Snapshot>, ApiError> {
        match &self.0 {
            Some(key) if !key.scope.is_all() => snapshot
                .part(&self.part_name(), || snapshot.restrict(&*key.scope))
                .map_err(|error| ApiError::unwritable(&error)),
            _ => Ok(snapshot.clone()),
        }
    }

    /// The cache name of that part. Filters are appended after a question mark, which no key's name
    /// contains.
    pub fn part_name(&self) -> String {
        let key = self.0.as_ref().filter(|key| !key.scope.is_all());
        key.map_or_else(String::new, |key| format!("{}#{}", key.name, key.serial))
    }
}

/// The keys in `headers`.
fn keys_in_headers(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let bearer = headers.typed_get::<Authorization<Bearer>>();
    KEY_HEADERS
        .iter()
        .filter_map(|name| Some(headers.get(*name)?.to_str().ok()?.to_owned()))
        .chain(bearer.map(|bearer| bearer.token().to_owned()))
}

/// The key in the query of `uri`; the last one counts.
fn key_parameter(uri: &Uri) -> Option<String> {
    let found = parameters(uri.query()).filter(|(name, _)| name == KEY_PARAMETER);
    Some(found.last()?.1.into_owned())
}

impl FromRequestParts<Catalog> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, catalog: &Catalog) -> Result<Self, ApiError> {
        Self::of(catalog, &parts.uri, &parts.headers)
    }
}

/// A caller who may see everything, for answers that cannot be restricted.
pub struct Unrestricted;

impl FromRequestParts<Catalog> for Unrestricted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, catalog: &Catalog) -> Result<Self, ApiError> {
        if Caller::of(catalog, &parts.uri, &parts.headers)?
            .scope()
            .is_all()
        {
            return Ok(Self);
        }
        Err(ApiError::invalid(
            StatusCode::FORBIDDEN,
            "restricted_key",
            "This answer covers all sources, but the key may see only some: use an unrestricted key or the admin key.",
        ))
    }
}

/// Refuses requests without a valid key while keys are in use, and keeps answers out of shared
/// caches: one key's answer must not reach another.
pub async fn guard(State(catalog): State<Catalog>, request: Request, next: Next) -> Response {
    if !catalog.in_force().keys.are_needed() {
        return next.run(request).await;
    }
    let mut response = match Caller::of(&catalog, request.uri(), request.headers()) {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.append(VARY, VARY_ON);
    let private = headers
        .get(CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.contains("no-store"))
        .map(|value| format!("private, {}", value.trim_start_matches("public, ")))
        .and_then(|value| HeaderValue::try_from(value).ok());
    if let Some(private) = private {
        headers.insert(CACHE_CONTROL, private);
    }
    response
}

impl ApiError {
    /// The caller presented no key, or an unknown one.
    fn no_key(presented: bool) -> Self {
        Self::unauthorized(
            "invalid_api_key",
            if presented {
                "The catalog does not know this key: send a valid one as Authorization: Bearer, x-api-key, x-goog-api-key or api-key, or get one from its operator."
            } else {
                "This catalog requires a key: send it as Authorization: Bearer, x-api-key, x-goog-api-key or api-key. Its operator sets keys under [[keys]]."
            },
        )
    }
}

/// Proof that the caller is an operator.
///
/// With an admin key, the request must carry it in a header, as a client carries its key, or come from a
/// page of the catalog where the operator has signed in. Without one, the caller must be on this
/// machine and not a foreign web page: peer, `Host` and `Origin` are loopback, and no proxy forwards
/// for someone else.
pub struct Operator;

impl FromRequestParts<Catalog> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, catalog: &Catalog) -> Result<Self, ApiError> {
        let in_force = catalog.in_force();
        let keys = &in_force.keys;
        let has_signed_in = || {
            let holder = session::holder(keys, &parts.headers, catalog.now());
            matches!(holder, Some(Holder::Admin)) && session::is_same_origin(&parts.headers)
        };
        let presents_it =
            || keys_in_headers(&parts.headers).any(|key| keys.is_admin(&key)) || has_signed_in();
        match keys.has_admin() {
            true if presents_it() => Ok(Self),
            true => Err(ApiError::no_admin_key()),
            false if is_local(parts) => Ok(Self),
            false => Err(ApiError::invalid(
                StatusCode::FORBIDDEN,
                "local_only",
                "Only callers on the catalog's own machine may do this: use http://127.0.0.1 there, without a proxy, or set MODEL_CATALOG_ADMIN_KEY.",
            )),
        }
    }
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
    // In HTTP/2 the host is in the URI.
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
    Url::parse(text).is_ok_and(|url| crate::config::url::is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt;

    use super::*;
    use crate::config::Config;

    /// What a route says that asks nobody who is there.
    #[tokio::test]
    async fn the_guard_closes_whatever_is_behind_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("c.db").display());
        let mut config = Config::new(&url).expect("usable");
        config.keys = vec![ClientKey::new("a", "k").expect("usable")];
        let catalog = Catalog::start(config).await.expect("it starts");
        let app: Router = Router::new()
            .route("/", get(async || ([(CACHE_CONTROL, "no-cache")], "secret")))
            .route_layer(middleware::from_fn_with_state(catalog.clone(), guard));
        for (key, status, cached) in [("k", 200, "private, no-cache"), ("x", 401, "no-store")] {
            let request = Request::get("/").header("x-api-key", key);
            let request = request.body(Body::empty()).expect("a request");
            let answer = app.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()[CACHE_CONTROL], cached);
            assert_eq!(answer.headers()[VARY], VARY_ON);
        }
        catalog.stop().await;
    }
}
