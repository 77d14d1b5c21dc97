//! Addresses of pages. Pure.

use axum::http::Uri;
use url::form_urlencoded;

/// Where people sign in.
pub const SIGN_IN: &str = "/ui/sign-in";

/// The address of the page to sign in on, and then to go on to `uri`.
pub fn sign_in_path(uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    format!("{SIGN_IN}{}", query([("next", wanted)]))
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
