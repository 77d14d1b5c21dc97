//! Addresses of pages. Pure.

use axum::http::Uri;
use url::form_urlencoded;

/// Where people sign in.
pub const SIGN_IN: &str = "/ui/sign-in";

/// The address of the page to sign in on, and then to go on to `uri`, without a key that it carries.
pub fn sign_in_path(uri: &Uri) -> String {
    let given = uri.query().unwrap_or_default().as_bytes();
    let kept: Vec<_> = form_urlencoded::parse(given)
        .filter(|(name, _)| name != "key")
        .collect();
    let kept = query(kept.iter().map(|(name, value)| (&**name, &**value)));
    let wanted = format!("{}{kept}", uri.path());
    format!("{SIGN_IN}{}", query([("next", wanted.as_str())]))
}

/// A query string of `parameters`, without those that are empty.
pub fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(
        parameters
            .into_iter()
            .filter(|(_, value)| !value.is_empty()),
    );
    match query.finish() {
        query if query.is_empty() => query,
        query => format!("?{query}"),
    }
}
