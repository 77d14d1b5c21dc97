//! The host names under which the catalog may be asked: the setting `allowed_hosts`.
//!
//! A web page can point a name of its own at this machine (DNS rebinding) and then read what a catalog
//! without keys tells its own machine. Its requests carry that name as their `Host`.

use std::{collections::BTreeSet, net::IpAddr};

use axum::http::uri::Authority;

use super::error::ConfigError;

/// The endings of names that no page on the Internet can have.
const LOCAL_ENDINGS: [&str; 3] = [".localhost", ".local", ".internal"];

/// The public names under which a catalog without keys may be asked on this machine. Addresses, names
/// without a dot, and names below `.localhost`, `.local` and `.internal` always may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(BTreeSet<String>);

impl AllowedHosts {
    /// Parses names such as `catalog.example`. Fails on anything else.
    pub fn parse<T: AsRef<str>>(names: &[T]) -> Result<Self, ConfigError> {
        let names = names.iter().map(|name| {
            let name = name.as_ref().trim();
            let authority = name.parse::<Authority>().ok();
            let is_bare = authority.is_some_and(|authority| authority.host() == name);
            match is_bare && !name.contains('*') {
                true => Ok(canonical(name)),
                false => Err(ConfigError(
                    "allowed_hosts has an entry that is no host name: write each without scheme and port, such as catalog.example"
                        .to_owned(),
                )),
            }
        });
        Ok(Self(names.collect::<Result<_, _>>()?))
    }

    /// Whether a request may name `authority`, a host with or without a port, as its `Host`.
    pub fn allows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            // HTTP/1.0 has no `Host`, and no browser leaves it out.
            return authority.is_empty();
        };
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        if address.parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = canonical(host);
        !name.contains('.')
            || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending))
            || self.0.contains(&name)
    }
}

/// `name` in lower case and without the dot that may end it.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::loopback("127.0.0.1:8484", true)]
    #[case::address("192.168.1.7", true)]
    #[case::ipv6("[::1]:8484", true)]
    #[case::localhost("LOCALHOST:8484", true)]
    #[case::localhost_with_a_dot("localhost.", true)]
    #[case::upstream("catalog_upstream", true)]
    #[case::container("model-catalog:8484", true)]
    #[case::mdns("box.local:8484", true)]
    #[case::docker("host.docker.internal", true)]
    #[case::below_localhost("catalog.localhost", true)]
    #[case::allowed("Catalog.Example:443", true)]
    #[case::allowed_with_a_dot("catalog.example.", true)]
    #[case::none("", true)]
    #[case::public("evil.example", false)]
    #[case::below_allowed("x.catalog.example", false)]
    #[case::looks_local("evil.localhost.example", false)]
    #[case::looks_like_an_address("127.0.0.1.evil.example", false)]
    #[case::user("localhost@evil.example", false)]
    #[case::ends_like_one("evillocal.com", false)]
    #[case::not_a_host("evil example", false)]
    fn hosts(#[case] host: &str, #[case] expected: bool) {
        let allowed = AllowedHosts::parse(&[" catalog.example"]).expect("usable");
        assert_eq!(allowed.allows(host), expected);
    }

    #[rstest]
    #[case("https://catalog.example")]
    #[case("catalog.example:8484")]
    #[case("*.example")]
    #[case("user@catalog.example")]
    #[case("")]
    fn refused(#[case] name: &str) {
        let error = AllowedHosts::parse(&[name])
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with("allowed_hosts"), "{error}");
    }
}
