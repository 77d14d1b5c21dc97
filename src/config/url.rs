//! URLs of the settings: base URLs, targets, and what is on this machine.

use reqwest::Url;

use super::error::ConfigError;

/// Whether the host of `url` is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// A base URL that can be asked. The error does not repeat the URL: it may hold a secret.
pub(crate) fn parse_base_url(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let url = parse_target(setting, text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError(format!(
            "{setting} must not hold a query or fragment: keys travel in headers only"
        )));
    }
    Ok(url)
}

/// A URL that something can be sent to. The error does not repeat it.
pub(crate) fn parse_target(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let refuse = |why: &str| Err(ConfigError(format!("{setting} {why}")));
    let Ok(url) = Url::parse(text.trim()) else {
        return refuse("is not a URL: it must look like https://host/path");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("is not an http or https URL: it must look like https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("must not hold a user name or password: give the key in its own setting");
    }
    Ok(url)
}
