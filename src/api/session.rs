//! Sessions of people who have signed in on a page. A cookie names the key and an end, signed with the
//! hash of the key: it survives a restart, and ends when the key is changed or taken away.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{HOST, ORIGIN},
};
use axum_extra::headers::{Cookie, HeaderMapExt};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use reqwest::Url;
use sha2::Sha256;

use crate::{
    config::keys::{Holder, Keys},
    model::time::Timestamp,
};

/// The name of the cookie.
const COOKIE: &str = "model_catalog_session";
/// How long a session lasts.
const LENGTH: TimeDelta = TimeDelta::days(7);
/// Sent by browsers with every request: whether a page of the same site makes it.
const FETCH_SITE: &str = "sec-fetch-site";

/// The cookie that begins a session of `holder`. `is_secure` keeps it from unencrypted connections.
pub fn begin(keys: &Keys, holder: &Holder, now: Timestamp, is_secure: bool) -> Option<HeaderValue> {
    let content = format!("{}.{}", holder.name(), now.plus(LENGTH).unix_seconds());
    let mac = signer(keys, &content)?.1.finalize().into_bytes();
    let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    set_cookie(&format!("{content}.{mac}"), LENGTH, is_secure)
}

/// The cookie that ends a session.
pub fn end() -> Option<HeaderValue> {
    set_cookie("", TimeDelta::zero(), false)
}

fn set_cookie(value: &str, length: TimeDelta, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let seconds = length.num_seconds();
    HeaderValue::try_from(format!(
        "{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
    ))
    .ok()
}

/// Who has signed in, according to the cookie in `headers`; none without a valid one.
pub fn holder(keys: &Keys, headers: &HeaderMap, now: Timestamp) -> Option<Holder> {
    let cookies = headers.typed_get::<Cookie>()?;
    let (content, mac) = cookies.get(COOKIE)?.rsplit_once('.')?;
    let (_, end) = content.rsplit_once('.')?;
    if end.parse::<i64>().ok()? <= now.unix_seconds() {
        return None;
    }
    let bytes: Option<Vec<u8>> = mac
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let (holder, signer) = signer(keys, content)?;
    // Takes the same time for every wrong signature.
    signer.verify_slice(&bytes?).ok()?;
    Some(holder)
}

/// The holder that the `content` of a cookie names, and what signs it.
fn signer(keys: &Keys, content: &str) -> Option<(Holder, Hmac<Sha256>)> {
    let (name, _) = content.rsplit_once('.')?;
    let (holder, secret) = keys.find_by_name(name)?;
    let mut signer = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    signer.update(COOKIE.as_bytes());
    signer.update(content.as_bytes());
    Some((holder, signer))
}

/// Whether no page of another site makes this request. A client that is no browser says nothing of it,
/// and has no cookies to misuse.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text(FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else {
        return true;
    };
    let host = text(HOST.as_str()).unwrap_or_default();
    Url::parse(origin).is_ok_and(|origin| {
        let port = origin
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        origin
            .host_str()
            .is_some_and(|name| format!("{name}{port}") == host)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE as COOKIE_HEADER;
    use rstest::rstest;
    use secrecy::SecretString;

    use super::*;
    use crate::config::keys::ClientKey;

    const NOW: i64 = 1_800_000_000_000;

    fn keys(team: &str, admin: &str) -> Keys {
        let client = ClientKey::new("team.a", team).expect("usable");
        Keys::new(vec![client], Some(&SecretString::from(admin))).expect("usable")
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    /// The cookie that a browser sends after `set_cookie`.
    fn sent(set_cookie: &HeaderValue) -> String {
        let text = set_cookie.to_str().expect("text");
        text.split(';').next().unwrap_or_default().to_owned()
    }

    /// Whose session the header `cookie` is.
    fn whose(keys: &Keys, cookie: &str, now: Timestamp) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE_HEADER, cookie.parse().expect("a header"));
        holder(keys, &headers, now).map(|holder| holder.name().to_owned())
    }

    #[rstest]
    #[case("secret-of-a")]
    #[case("secret-of-admin")]
    fn a_session_lasts_seven_days_and_while_its_key_does(#[case] secret: &str) {
        let own = keys("secret-of-a", "secret-of-admin");
        let holder = own.find(secret).expect("a holder");
        let set = begin(&own, &holder, now(), true).expect("a cookie");
        let text = set.to_str().expect("text");
        for part in [
            "HttpOnly",
            "SameSite=Strict",
            "Max-Age=604800",
            "Secure",
            "Path=/",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("secret-of"), "{text}");
        let cookie = sent(&set);
        let name = Some(holder.name().to_owned());
        assert_eq!(whose(&own, &cookie, now()), name);
        assert_eq!(whose(&own, &format!("a=b; {cookie}; c=d"), now()), name);
        let almost = now().plus(LENGTH - TimeDelta::seconds(1));
        assert_eq!(whose(&own, &cookie, almost), name);
        assert_eq!(whose(&own, &cookie, now().plus(LENGTH)), None);
        let changed = keys("another-secret", "another-admin");
        assert_eq!(whose(&changed, &cookie, now()), None);
    }

    #[test]
    fn a_cookie_that_was_tampered_with_is_none() {
        let own = keys("secret-of-a", "secret-of-admin");
        let holder = own.find("secret-of-a").expect("a holder");
        let cookie = sent(&begin(&own, &holder, now(), false).expect("a cookie"));
        for place in COOKIE.len() + 1..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("text");
            assert_eq!(whose(&own, &changed, now()), None, "{changed}");
        }
        let admin = cookie.replace("team.a", "@admin");
        for cookie in [admin.as_str(), COOKIE, &cookie[..cookie.len() - 2], "a=b"] {
            assert_eq!(whose(&own, cookie, now()), None, "{cookie}");
        }
    }

    #[rstest]
    #[case::no_browser(&[], true)]
    #[case::own_page(&[("sec-fetch-site", "same-origin")], true)]
    #[case::same_site(&[("sec-fetch-site", "same-site")], false)]
    #[case::foreign(&[("sec-fetch-site", "cross-site"), ("origin", "http://c.example:1")], false)]
    #[case::own_origin(&[("origin", "http://c.example:1")], true)]
    #[case::other_port(&[("origin", "http://c.example:2")], false)]
    #[case::other_host(&[("origin", "http://d.example:1")], false)]
    #[case::hidden(&[("origin", "null")], false)]
    fn origins(#[case] given: &[(&'static str, &'static str)], #[case] expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("c.example:1"));
        for (name, value) in given {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(is_same_origin(&headers), expected);
    }
}
