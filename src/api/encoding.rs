//! Chooses the compressed form of a body by `Accept-Encoding`. If the form is not ready, it is made in the
//! background, and this client gets another one without waiting.

use axum::http::{HeaderMap, header::ACCEPT_ENCODING};
use bytes::Bytes;
use tokio::{runtime::Handle, sync::Semaphore};

use crate::snapshot::{
    body::{Body, Encoded},
    encoding::Encoding,
};

/// One body is compressed at a time, so that requests keep all processors but one.
static TURN: Semaphore = Semaphore::const_new(1);

/// The best form of `body` for the request among those that are ready; none for the plain body. Starts
/// making the best of all if it is not ready.
pub fn choose<'a>(body: &'a Body, request: &HeaderMap) -> Option<(&'a Encoded, &'a Bytes)> {
    if body.encoded().is_empty() {
        return None;
    }
    let accepted = Accepted::of(request);
    let mut liked: Vec<Encoding> = Encoding::ALL.to_vec();
    liked.retain(|encoding| accepted.likes(*encoding));
    // A stable sort: of those liked equally, the smallest is first.
    liked.sort_by_key(|encoding| std::cmp::Reverse(accepted.weight(*encoding)));
    let best = *liked.first()?;
    if body.form(best).is_some_and(|form| form.ready().is_none()) {
        make(body, best);
    }
    liked
        .into_iter()
        .filter_map(|encoding| body.form(encoding))
        .find_map(|form| Some((form, form.ready()?)))
}

/// Compresses `body` in the background. Does nothing while another body is being compressed: the next
/// request tries again.
fn make(body: &Body, encoding: Encoding) {
    let (Ok(runtime), Ok(turn)) = (Handle::try_current(), TURN.try_acquire()) else {
        return;
    };
    if body.form(encoding).is_some_and(Encoded::begin) {
        let body = body.clone();
        runtime.spawn_blocking(move || {
            if let Err(error) = body.compress(encoding) {
                tracing::debug!(%error, "cannot compress an answer; it is served as it is");
            }
            drop(turn);
        });
    }
}

/// What a request's `Accept-Encoding` says.
struct Accepted<'a>(Vec<(&'a str, u16)>);

impl<'a> Accepted<'a> {
    /// Reads all lines of the header. What cannot be read is not accepted.
    fn of(request: &'a HeaderMap) -> Self {
        let lines = request.get_all(ACCEPT_ENCODING).into_iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let named = lines.flat_map(|line| line.split(',')).map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = match parts.next() {
                None => 1000,
                Some(weight) => thousandths(weight).unwrap_or(0),
            };
            (name, weight)
        });
        Self(named.collect())
    }

    /// The weight of `encoding`, in thousandths; 0 if it is not accepted.
    fn weight(&self, encoding: Encoding) -> u16 {
        let named = self.named(encoding.name());
        // The old name of gzip (RFC 9110, section 8.4.1.3).
        let named = named.or_else(|| self.named("x-gzip").filter(|_| encoding == Encoding::Gzip));
        named.or_else(|| self.named("*")).unwrap_or(0)
    }

    /// Whether it accepts `encoding`, and prefers no plain body to it.
    fn likes(&self, encoding: Encoding) -> bool {
        let weight = self.weight(encoding);
        // A plain body that is not named is what is left when nothing else is accepted.
        weight > 0 && weight >= self.named("identity").unwrap_or(0)
    }

    /// The weight of what the request calls `wanted`, in thousandths.
    fn named(&self, wanted: &str) -> Option<u16> {
        let is_wanted = |(name, _): &&(&str, u16)| name.eq_ignore_ascii_case(wanted);
        self.0.iter().find(is_wanted).map(|(_, weight)| *weight)
    }
}

/// The weight in `q=0.8`, in thousandths; none if it is no weight.
fn thousandths(parameter: &str) -> Option<u16> {
    let value = parameter
        .strip_prefix("q=")
        .or(parameter.strip_prefix("Q="))?;
    let value: f32 = value.parse().ok()?;
    // Within the range, it fits.
    (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        let mut request = HeaderMap::new();
        for line in lines {
            request.append(ACCEPT_ENCODING, line.parse().expect("a value"));
        }
        request
    }

    fn body() -> Body {
        Body::kept(b"some model ".repeat(300).into())
    }

    /// What a request gets once everything is ready.
    fn chosen(lines: &[&str]) -> Option<&'static str> {
        let body = body();
        for encoding in Encoding::ALL {
            body.compress(encoding).expect("compressed");
        }
        choose(&body, &request(lines)).map(|(form, _)| form.encoding.name())
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[""], None)]
    #[case(&["identity"], None)]
    #[case(&["gzip"], Some("gzip"))]
    #[case(&["x-gzip"], Some("gzip"))]
    #[case(&["GZip"], Some("gzip"))]
    #[case(&["gzip, deflate, br, zstd"], Some("br"))]
    #[case(&["gzip, deflate", "zstd"], Some("zstd"))]
    #[case(&["br;q=0.5, gzip"], Some("gzip"))]
    #[case(&["br ; q=0.5 , gzip;q=0.5"], Some("br"))]
    #[case(&["br;q=0, zstd;q=0.000, gzip;q=0.001"], Some("gzip"))]
    #[case(&["*"], Some("br"))]
    #[case(&["br;q=0, *;q=0.1"], Some("zstd"))]
    #[case(&["*;q=0"], None)]
    #[case(&["identity;q=0, gzip;q=0.2"], Some("gzip"))]
    #[case(&["identity, gzip;q=0.5"], None)]
    #[case(&["identity;q=0.5, gzip;q=0.5"], Some("gzip"))]
    #[case(&["deflate, compress"], None)]
    #[case(&["gzip;q=x, br;q=2, zstd;level=1"], None)]
    #[case(&["gzip;q=1.000"], Some("gzip"))]
    fn a_request_gets_what_it_likes(#[case] lines: &[&str], #[case] name: Option<&str>) {
        assert_eq!(chosen(lines), name);
    }

    proptest! {
        #[test]
        fn nothing_is_sent_that_was_not_accepted(line in "[a-z*;=,.0-9 ]{0,40}|((br|gzip|zstd|identity|\\*)(;q=[01](\\.[0-9]{1,3})?)?,){0,5}") {
            if let Some(name) = chosen(&[&line]) {
                prop_assert!(line.contains(name) || line.contains('*'), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn the_first_who_asks_gets_it_as_it_is() {
        let (body, request) = (body(), request(&["gzip"]));
        assert!(choose(&body, &request).is_none());
        let form = body.form(Encoding::Gzip).expect("large enough");
        while form.ready().is_none() {
            tokio::task::yield_now().await;
            // Another test may have had the turn.
            choose(&body, &request);
        }
        let (form, bytes) = choose(&body, &request).expect("it is ready");
        assert_eq!(form.encoding, Encoding::Gzip);
        assert!(bytes.len() < body.bytes.len() / 5);
        assert!(
            body.form(Encoding::Brotli).expect("one").ready().is_none(),
            "only gzip was requested"
        );
    }
}
