//! `/ui/sign-in` and `/ui/sign-out`: a key is given once, and the browser keeps a cookie.

use askama::Template;
use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, Uri, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    frame::{Frame, write},
    response::{no_store, redirect},
};
use crate::{
    api::{error::ApiError, session},
    catalog::Catalog,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    problem: Option<&'static str>,
    /// Whether there is any key to sign in with.
    has_keys: bool,
    /// Whether nothing is seen without one.
    needs_key: bool,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Given {
    key: String,
    #[serde(default)]
    next: String,
}

/// The page to sign in on.
pub async fn page(State(catalog): State<Catalog>, uri: Uri) -> Result<Response, ApiError> {
    let find = |wanted: &str| {
        let query = uri.query().unwrap_or_default().as_bytes();
        let found = form_urlencoded::parse(query).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    // Whoever pressed a button without it.
    let problem = find("admin").map(|_| "This needs the admin key.");
    let next = find("next").unwrap_or_default();
    Ok(no_store(write(&form(&catalog, next, problem))?))
}

fn form(catalog: &Catalog, next: String, problem: Option<&'static str>) -> SignInPage {
    let in_force = catalog.in_force();
    SignInPage {
        frame: Frame::closed("Sign in"),
        next: own_path(&next).to_owned(),
        problem,
        needs_key: in_force.keys.are_needed(),
        has_keys: in_force.keys.are_needed() || in_force.keys.has_admin(),
    }
}

/// Begins a session for the holder of the key.
pub async fn sign_in(
    State(catalog): State<Catalog>,
    headers: HeaderMap,
    given: Result<Form<Given>, FormRejection>,
) -> Result<Response, ApiError> {
    check_origin(&headers)?;
    let Form(Given { key, next }) = given.map_err(|_| {
        ApiError::bad(
            "invalid_form",
            "The form must have one field called key: use the page /ui/sign-in.",
        )
    })?;
    let in_force = catalog.in_force();
    let keys = &in_force.keys;
    let is_secure = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes() == b"https");
    let cookie = keys
        .find(&key)
        .and_then(|holder| session::begin(keys, &holder, catalog.now(), is_secure));
    let Some(cookie) = cookie else {
        let problem = "The catalog does not know this key.";
        let html = write(&form(&catalog, next, Some(problem)))?;
        return Ok((StatusCode::UNAUTHORIZED, no_store(html)).into_response());
    };
    let mut response = redirect(own_path(&next));
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session.
pub async fn sign_out(headers: HeaderMap) -> Result<Response, ApiError> {
    check_origin(&headers)?;
    let mut response = redirect("/");
    if let Some(cookie) = session::end() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Fails when a page of another site sends the form.
pub fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    if session::is_same_origin(headers) {
        return Ok(());
    }
    Err(ApiError::invalid(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "Another site's page has sent this: use the catalog's own pages. A proxy in front must pass on the Host header.",
    ))
}

/// `next` if it is a page of this catalog; otherwise the first page.
fn own_path(next: &str) -> &str {
    let is_own = next == "/" || next.starts_with("/?") || next.starts_with("/ui/");
    let is_plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match is_own && is_plain {
        true => next,
        false => "/",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/", "/")]
    #[case("/?q=a", "/?q=a")]
    #[case("/ui/sources", "/ui/sources")]
    #[case("//evil.example", "/")]
    #[case("/\\evil.example", "/")]
    #[case("https://evil.example", "/")]
    #[case("/ui/\r\nx", "/")]
    #[case("", "/")]
    fn only_own_pages_follow(#[case] next: &str, #[case] expected: &str) {
        assert_eq!(own_path(next), expected);
    }
}
