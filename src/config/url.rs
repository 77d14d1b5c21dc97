//! Parsing URLs from the settings, and recognizing this machine's own.

use std::fmt::Write;

use reqwest::Url;
use sha2::{Digest, Sha256};

use super::error::ConfigError;

/// Whether the host of `url` is a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// Parses a source's base URL. The error does not repeat it: it may hold a secret.
pub(crate) fn parse_base_url(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let url = parse_target(setting, text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError(format!(
            "{setting} must not hold a query or fragment: keys are sent only in headers"
        )));
    }
    Ok(url)
}

/// Parses the URL of a webhook or base URL: http or https, with a host and without credentials. The
/// error does not repeat it.
pub(crate) fn parse_target(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let refuse = |why: &str| Err(ConfigError(format!("{setting} {why}")));
    let Ok(url) = Url::parse(text.trim()) else {
        return refuse("is not a URL: it must look like https://host/path");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("is not an http or https URL: it must look like https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("must not hold a user name or password: put the key in its own setting");
    }
    Ok(url)
}

/// Identifies `url` where it must not be stored, because it may hold a secret.
pub(super) fn fingerprint(url: &str) -> String {
    let digest = Sha256::digest(url);
    digest[..16].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
