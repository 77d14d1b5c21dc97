//! The proxy variables, which the HTTP client reads by itself: it takes those that it cannot use for
//! unset, so that requests would go past the proxy without a word.

use axum::http::Uri;
use reqwest::Url;

use super::{environment::Environment, error::ConfigError};

/// The variables of each scheme, in the order in which the client reads them.
const VARIABLES: [[&str; 4]; 2] = [
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
];

/// Fails when a proxy variable that counts cannot be used. The error does not repeat it: it may hold
/// a password.
pub(super) fn check_proxies(environment: &Environment) -> Result<(), ConfigError> {
    for variables in VARIABLES {
        let mut set = variables
            .into_iter()
            .filter_map(|name| Some((name, environment.get_untrimmed(name)?)));
        let Some((name, proxy)) = set.next() else {
            continue;
        };
        if proxy.to_ascii_lowercase().starts_with("socks") {
            return Err(ConfigError(format!(
                "{name} names a SOCKS proxy, which is not supported: use http://host:port, or unset it"
            )));
        }
        if !is_usable(&proxy) {
            return Err(ConfigError(format!(
                "{name} is not the address of a proxy: use http://host:port, or unset it"
            )));
        }
    }
    Ok(())
}

/// The proxy variables that count, each with its proxy's host and port, without a user or a password.
pub(crate) fn proxies(environment: &Environment) -> Vec<(&'static str, String)> {
    let first_set = |variables: [&'static str; 4]| {
        let mut set = variables.into_iter();
        set.find_map(|name| Some((name, environment.get_untrimmed(name)?)))
    };
    let mut proxies: Vec<_> = VARIABLES
        .into_iter()
        .filter_map(first_set)
        .map(|(name, proxy)| {
            let host = proxy.rsplit(['@', '/']).find(|part| !part.is_empty());
            (name, host.unwrap_or_default().to_owned())
        })
        .collect();
    proxies.dedup();
    proxies
}

/// Whether the client can use `proxy`: a URL, or a host and a port, without blanks around it.
fn is_usable(proxy: &str) -> bool {
    let url = match proxy.contains("://") {
        true => proxy.to_owned(),
        false => format!("http://{proxy}"),
    };
    let is_url = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    // What the client itself reads; it splits at the first `@`.
    let authority = proxy
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.into_parts().authority);
    is_url && authority.is_some_and(|authority| authority.as_str().matches('@').count() <= 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn check(variables: &[(&str, &str)]) -> Result<(), String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        check_proxies(&Environment::new(get)).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case("http://proxy:3128")]
    #[case("https://proxy")]
    #[case("http://user:pass@10.0.0.1:3128/")]
    #[case("proxy:3128")]
    #[case("10.0.0.1:3128")]
    #[case("http://[::1]:3128")]
    fn usable(#[case] proxy: &str) {
        assert_eq!(check(&[("HTTPS_PROXY", proxy)]), Ok(()));
    }

    #[rstest]
    #[case("http//proxy:3128")]
    #[case("http:/proxy:3128")]
    #[case("http://")]
    #[case("://s3cret")]
    #[case("http://proxy:99999")]
    #[case("http://my proxy:3128")]
    #[case(" http://proxy:3128")]
    #[case("ftp://proxy:21")]
    #[case("http://user:s3cr@et@proxy:3128")]
    #[case("socks5://s3cret@proxy:1080")]
    #[case("\"http://proxy:3128\"")]
    fn unusable(#[case] proxy: &str) {
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy"] {
            let error = check(&[(name, proxy)]).expect_err("refused");
            assert!(error.starts_with(name), "{error}");
            assert!(!error.contains("s3cr"), "{error}");
        }
    }

    #[test]
    fn only_those_that_count_are_checked() {
        let good = "http://proxy:3128";
        assert_eq!(check(&[("HTTPS_PROXY", " ")]), Ok(()));
        let shadowed = [
            ("HTTPS_PROXY", good),
            ("HTTP_PROXY", good),
            ("ALL_PROXY", "socks5://proxy"),
        ];
        assert_eq!(check(&shadowed), Ok(()));
        assert!(check(&shadowed[1..]).is_err());
    }
}
