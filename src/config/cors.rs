//! The web pages that may read the catalog from a browser: the setting `cors_origins`.

use reqwest::Url;

use super::error::ConfigError;

/// The origins of web pages that may read answers. Pages on the catalog's own origin always may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    #[default]
    None,
    /// Any page may read the lists of models and their entries, and nothing else.
    Any,
    /// Pages of these origins may read every answer to a GET.
    Listed(Vec<String>),
}

impl CorsOrigins {
    /// Parses `*`, or origins such as `https://app.example`. Fails on anything else.
    pub fn parse<T: AsRef<str>>(origins: &[T]) -> Result<Self, ConfigError> {
        let origins: Vec<&str> = origins
            .iter()
            .map(|origin| origin.as_ref().trim())
            .collect();
        match origins.as_slice() {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::Any),
            _ if origins.contains(&"*") => Err(ConfigError(
                "cors_origins has `*` beside other origins: use either".to_owned(),
            )),
            _ => {
                let origins: Result<Vec<String>, ConfigError> =
                    origins.into_iter().map(parse_origin).collect();
                Ok(Self::Listed(origins?))
            }
        }
    }
}

/// The origin as browsers send it.
fn parse_origin(text: &str) -> Result<String, ConfigError> {
    let is_bare = |url: &Url| {
        ["http", "https"].contains(&url.scheme())
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let url = Url::parse(text).ok().filter(is_bare);
    url.map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
        ConfigError(
            "cors_origins has an entry that is no origin: use *, or scheme, host and port such as https://app.example"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], CorsOrigins::None)]
    #[case(&[" * "], CorsOrigins::Any)]
    #[case(
        &["https://App.example:443/", "http://127.0.0.1:3000"],
        CorsOrigins::Listed(vec!["https://app.example".to_owned(), "http://127.0.0.1:3000".to_owned()])
    )]
    fn usable(#[case] origins: &[&str], #[case] expected: CorsOrigins) {
        assert_eq!(CorsOrigins::parse(origins).expect("usable"), expected);
    }

    #[rstest]
    #[case(&["*", "https://app.example"])]
    #[case(&["app.example"])]
    #[case(&["https://app.example/path"])]
    #[case(&["https://*.example/x"])]
    #[case(&["https://user:pass@app.example"])]
    #[case(&["file:///x"])]
    #[case(&[""])]
    #[case(&["null"])]
    fn refused(#[case] origins: &[&str]) {
        let error = CorsOrigins::parse(origins)
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with("cors_origins"), "{error}");
        assert!(!error.contains("pass") && !error.contains('\n'), "{error}");
    }
}
