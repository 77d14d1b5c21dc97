//! Why a fetch failed, as seen from its status, body or transport error. Kinds are named for what
//! an operator does about them. Messages are one line without keys.

use std::{error::Error, time::Duration};

use chrono::TimeDelta;
use reqwest::{StatusCode, header::HeaderMap};
use secrecy::SecretString;
use serde_json::Value;

use super::redaction::{one_line, redact};
use crate::model::{
    fetch::{ErrorKind, FetchError},
    time::Timestamp,
};

impl FetchError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            http_status: None,
            retry_after: None,
            pages: 0,
            has_no_host: false,
        }
    }

    /// Names the list that it is about, for sources with several.
    pub(super) fn of_list(mut self, path: &str) -> Self {
        self.message = one_line(&format!("/{path}: {}", self.message));
        self
    }

    /// Builds the error for an answer whose status is not a success.
    pub(crate) fn from_answer(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        // Some of Google's endpoints wrap the object in an array of one.
        let body = body.get(0).unwrap_or(&body);
        let invalid_key = reports_invalid_key(status.as_u16(), body);
        let kind = match status.as_u16() {
            401 => ErrorKind::Unauthorized,
            _ if invalid_key => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            429 => ErrorKind::RateLimited,
            500.. => ErrorKind::Unavailable,
            300..=399 => ErrorKind::Redirected,
            _ => ErrorKind::Rejected,
        };
        let code = status.as_u16();
        let message = match kind {
            // Omits the provider's message, which may repeat the key, masked or whole.
            ErrorKind::Unauthorized => format!("the key was refused ({code}): check or replace it"),
            ErrorKind::Redirected => match redirect_origin(headers) {
                Some(origin) => format!(
                    "answered {code} with a redirect to {origin}, which is not followed: if that is the right host, set base_url to it"
                ),
                None => {
                    format!("answered {code} with a redirect that is not followed: check base_url")
                }
            },
            _ => match provider_message(body) {
                Some(message) => format!("answered {code}: {message}"),
                None => format!("answered {code}"),
            },
        };
        let retry_after = retry_after_header(headers, now).or_else(|| retry_info(body));
        Self {
            http_status: Some(code),
            retry_after,
            ..Self::new(kind, message)
        }
    }

    /// Builds the error for a request to `host` without an answer. Drops the URL that `error` may
    /// hold.
    pub(crate) fn from_transport(error: reqwest::Error, host: &str) -> Self {
        let error = error.without_url();
        let tls = causes(&error).find_map(tls_error);
        let root = causes(&error)
            .last()
            .map_or_else(String::new, ToString::to_string);
        if let Some(tls) = tls {
            Self::new(ErrorKind::Tls, format!("the TLS connection failed: {tls}"))
        } else if error.is_timeout() {
            Self::new(
                ErrorKind::Timeout,
                "timed out while connecting: check the network and base_url",
            )
        } else if error.is_connect() {
            Self {
                has_no_host: says_no_host(&root),
                ..Self::new(
                    ErrorKind::Unreachable,
                    format!("cannot connect to {host}: {root}"),
                )
            }
        } else {
            Self::new(
                ErrorKind::Unreachable,
                format!("the connection was lost: {root}"),
            )
        }
    }

    /// Builds the error for an answer whose body ended too early.
    pub(crate) fn broken_off(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let root = causes(&error)
            .last()
            .map_or_else(String::new, ToString::to_string);
        Self::new(
            ErrorKind::Truncated,
            format!("the answer broke off: {root}"),
        )
    }

    /// Removes `key` from the message, in every form that it could have, and puts the message on
    /// one line of bounded length.
    pub(crate) fn without_key(mut self, key: Option<&SecretString>) -> Self {
        if let Some(key) = key {
            self.message = redact(&self.message, key);
        }
        self.message = one_line(&self.message);
        self
    }
}

/// How the resolvers of the systems say that a host name does not exist, in contrast to a resolver
/// that does not answer ("Temporary failure in name resolution"). The standard library keeps nothing
/// but their words.
const NO_HOST: [&str; 5] = [
    // glibc: EAI_NONAME and EAI_NODATA.
    "Name or service not known",
    "No address associated with hostname",
    // musl.
    "Name does not resolve",
    // macOS and the BSDs.
    "nodename nor servname provided, or not known",
    // Windows.
    "No such host is known",
];

/// Whether the cause of a failed connection is a host name that does not exist.
fn says_no_host(cause: &str) -> bool {
    NO_HOST.iter().any(|words| cause.contains(words))
}

/// Iterates over `error` and its sources, outermost first.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

/// Returns the TLS error that `cause` is or wraps. An I/O error may hold another error, possibly an
/// I/O error again, that is not its source.
fn tls_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let inner = || tls_error(cause.downcast_ref::<std::io::Error>()?.get_ref()?);
    cause.downcast_ref().or_else(inner)
}

fn details(body: &Value) -> impl Iterator<Item = &Value> {
    body["error"]["details"].as_array().into_iter().flatten()
}

/// Whether the body of an answer other than a 401 reports an invalid key. With 400, Google has its
/// own code for this; xAI has only text (`error` is a string, and `code` is that of any bad
/// argument). With 403, Amazon Bedrock has only text.
fn reports_invalid_key(status: u16, body: &Value) -> bool {
    let starts = |field: &str, words: &str| {
        let text = body[field].as_str();
        text.is_some_and(|text| text.starts_with(words))
    };
    match status {
        400 => {
            starts("error", "Incorrect API key")
                || details(body).any(|detail| detail["reason"] == "API_KEY_INVALID")
        }
        403 => starts(
            "Message",
            "Authentication failed: Please make sure your API Key is valid",
        ),
        _ => false,
    }
}

/// Returns the provider's error message: `error.message`, `error`, `message` (Amazon's `Message`),
/// `detail` or the first of Cloudflare's `errors`.
fn provider_message(body: &Value) -> Option<&str> {
    [
        &body["error"]["message"],
        &body["error"],
        &body["message"],
        &body["Message"],
        &body["detail"],
        &body["errors"][0]["message"],
    ]
    .into_iter()
    .find_map(Value::as_str)
    .filter(|message| !message.trim().is_empty())
}

fn redirect_origin(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(reqwest::header::LOCATION)?.to_str().ok()?;
    let origin = reqwest::Url::parse(location).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// Reads `Retry-After`, in seconds (decimals occur) or as a date, or `retry-after-ms`.
pub fn retry_after_header(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(value) = text("retry-after") {
        if let Some(wait) = seconds(value) {
            return Some(wait);
        }
        let until = chrono::DateTime::<chrono::Utc>::from(httpdate::parse_http_date(value).ok()?);
        let wait = Timestamp::from(until).since(now).max(TimeDelta::zero());
        return wait.to_std().ok();
    }
    Some(seconds(text("retry-after-ms")?)? / 1000)
}

/// Reads Google's `google.rpc.RetryInfo` in the body: `"retryDelay": "48s"`, decimals occur.
fn retry_info(body: &Value) -> Option<Duration> {
    details(body).find_map(|detail| seconds(detail["retryDelay"].as_str()?.strip_suffix('s')?))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> FetchError {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    (*name).parse().expect("a name"),
                    HeaderValue::from_str(value).expect("a value"),
                )
            })
            .collect();
        let now = "2026-11-23T00:00:00Z".parse().expect("a time");
        let status = StatusCode::from_u16(status).expect("a status");
        FetchError::from_answer(status, &headers, body.to_string().as_bytes(), now)
    }

    #[rstest]
    #[case(401, ErrorKind::Unauthorized)]
    #[case(403, ErrorKind::Forbidden)]
    #[case(404, ErrorKind::Rejected)]
    #[case(408, ErrorKind::Rejected)]
    #[case(429, ErrorKind::RateLimited)]
    #[case(500, ErrorKind::Unavailable)]
    #[case(529, ErrorKind::Unavailable)]
    #[case(302, ErrorKind::Redirected)]
    #[case(400, ErrorKind::Rejected)]
    fn statuses(#[case] status: u16, #[case] expected: ErrorKind) {
        let error = answer(status, &[], &json!({"error": {"message": "words"}}));
        assert_eq!((error.kind, error.http_status), (expected, Some(status)));
        assert!(error.message.contains(&status.to_string()), "{error}");
    }

    #[rstest]
    #[case(
        "failed to lookup address information: Name or service not known",
        true
    )]
    #[case(
        "failed to lookup address information: nodename nor servname provided, or not known",
        true
    )]
    #[case("No such host is known. (os error 11001)", true)]
    #[case(
        "failed to lookup address information: Temporary failure in name resolution",
        false
    )]
    #[case("Connection refused (os error 111)", false)]
    fn a_name_that_does_not_exist_is_no_silent_resolver(#[case] cause: &str, #[case] is: bool) {
        assert_eq!(says_no_host(cause), is);
    }

    #[tokio::test]
    async fn the_resolver_of_this_system_is_understood() {
        // This name never exists (RFC 6761). Without any resolver, its answer is a temporary failure.
        let client = reqwest::Client::builder().no_proxy().build();
        let request = client.expect("a client").get("http://gone.invalid/");
        let error = request.send().await.expect_err("it does not exist");
        let error = FetchError::from_transport(error, "gone.invalid:80");
        assert_eq!(error.kind, ErrorKind::Unreachable);
        let is_temporary = error.message.contains("Temporary failure");
        assert_eq!(error.end_sign().is_some(), !is_temporary, "{error}");
    }

    #[test]
    fn bedrocks_invalid_key_is_a_403() {
        let invalid =
            json!({"Message": "Authentication failed: Please make sure your API Key is valid."});
        let denied =
            json!({"Message": "User is not authorized to perform: bedrock:ListFoundationModels"});
        let errors = json!({"success": false, "errors": [{"code": 9109, "message": "Unauthorized to access"}]});
        let of = |status, body: &Value| answer(status, &[], body);
        assert_eq!(of(403, &invalid).kind, ErrorKind::Unauthorized);
        assert_eq!(of(400, &invalid).kind, ErrorKind::Rejected);
        assert_eq!(
            of(403, &denied).message,
            "answered 403: User is not authorized to perform: bedrock:ListFoundationModels"
        );
        assert_eq!(
            of(403, &errors).message,
            "answered 403: Unauthorized to access"
        );
    }

    #[test]
    fn googles_invalid_key_is_a_400() {
        let body = json!({"error": {"code": 400, "message": "API key not valid.", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}});
        assert_eq!(answer(400, &[], &body).kind, ErrorKind::Unauthorized);
        assert_eq!(
            answer(400, &[], &json!([body])).kind,
            ErrorKind::Unauthorized
        );
        assert_eq!(answer(403, &[], &body).kind, ErrorKind::Forbidden);
    }

    #[test]
    fn xais_invalid_key_is_a_400_in_words() {
        let body = |words: &str| json!({"code": "invalid-argument", "error": words});
        let refused = answer(400, &[], &body("Incorrect API key provided: sk-secret."));
        assert_eq!(refused.kind, ErrorKind::Unauthorized);
        assert!(!refused.message.contains("sk-secret"), "{refused}");
        assert_eq!(
            answer(400, &[], &body("Bad page.")).kind,
            ErrorKind::Rejected
        );
    }

    #[rstest]
    #[case::seconds(&[("retry-after", "7")], json!({}), Some(7_000))]
    #[case::decimals(&[("retry-after", "1.5")], json!({}), Some(1_500))]
    #[case::date(&[("retry-after", "Mon, 23 Nov 2026 00:02:00 GMT")], json!({}), Some(120_000))]
    #[case::past_date(&[("retry-after", "Sun, 22 Nov 2026 00:02:00 GMT")], json!({}), Some(0))]
    #[case::negative(&[("retry-after", "-3")], json!({}), None)]
    #[case::infinite(&[("retry-after", "inf")], json!({}), None)]
    #[case::words(&[("retry-after", "soon")], json!({}), None)]
    #[case::milliseconds(&[("retry-after-ms", "250")], json!({}), Some(250))]
    #[case::both(&[("retry-after", "1"), ("retry-after-ms", "0")], json!({}), Some(1_000))]
    #[case::google(&[], json!({"error": {"details": [{"retryDelay": "48.5s"}]}}), Some(48_500))]
    #[case::header_first(&[("retry-after", "2")], json!({"error": {"details": [{"retryDelay": "48s"}]}}), Some(2_000))]
    #[case::nothing(&[], json!({"error": {"details": [{"retryDelay": 48}]}}), None)]
    fn waits(
        #[case] headers: &[(&'static str, &str)],
        #[case] body: Value,
        #[case] expected_ms: Option<u64>,
    ) {
        let wait = answer(429, headers, &body).retry_after;
        assert_eq!(wait, expected_ms.map(Duration::from_millis));
    }

    #[rstest]
    #[case(json!({"error": {"message": "a"}}), "answered 404: a")]
    #[case(json!({"error": "b", "code": "x"}), "answered 404: b")]
    #[case(json!({"detail": "c"}), "answered 404: c")]
    #[case(json!({"message": "d", "id": 1}), "answered 404: d")]
    #[case(json!({"detail": [{"loc": 1}]}), "answered 404")]
    #[case(json!(null), "answered 404")]
    fn words_of_any_shape(#[case] body: Value, #[case] expected: &str) {
        assert_eq!(answer(404, &[], &body).message, expected);
    }

    #[test]
    fn redirects_name_the_origin_only() {
        let error = answer(
            301,
            &[("location", "https://user:pw@evil.example/x?key=1")],
            &json!({}),
        );
        assert!(error.message.contains("https://evil.example,"), "{error}");
        assert!(
            !error.message.contains("key") && !error.message.contains("pw"),
            "{error}"
        );
    }

    #[test]
    fn keys_are_taken_out_in_every_form() {
        let key = SecretString::from("AIza/x+y=z~!'()*");
        for form in [
            "AIza/x+y=z~!'()*",
            "AIza%2Fx%2By%3Dz~%21%27%28%29%2A",
            "AIza%2fx%2by%3dz~%21%27%28%29%2a",
            "AIza%2Fx%2By%3Dz%7E%21%27%28%29*",
            "AIza%2Fx+y=z~!'()*",
            "%41%49%7a%61%2F%78%2b%79%3D%7A%7E%21%27%28%29%2A",
        ] {
            let error = FetchError::new(ErrorKind::Rejected, format!("bad key={form}&x"))
                .without_key(Some(&key));
            assert_eq!(error.message, "bad key=[key]&x", "{form}");
        }
    }
}
