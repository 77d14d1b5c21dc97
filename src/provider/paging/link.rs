//! Reads links to the next page. Only their query counts: host and path stay the configured ones.

use super::{next_with, no_way_on};
use crate::provider::progress::{Next, NoPage, Parameters};

/// Returns the query of a link to the next page.
pub fn query_of(link: &str) -> Option<Parameters> {
    let (_, query) = link.split_once('?')?;
    let url = reqwest::Url::parse(&format!("http://link.invalid/?{query}")).ok()?;
    Some(url.query_pairs().into_owned().collect())
}

/// Returns the link with `rel="next"` in `Link` headers (RFC 8288).
pub fn of_header(header: &str) -> Result<Option<Next>, NoPage> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((link, after)) = after.split_once('>') else {
            break;
        };
        let (attributes, following) = after
            .split_once('<')
            .map_or((after, ""), |(attributes, _)| {
                (attributes, &after[attributes.len()..])
            });
        let is_next = attributes.split(';').any(|attribute| {
            let Some((name, value)) = attribute.split_once('=') else {
                return false;
            };
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            let mut words = value.split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel")
                && words.any(|word| word.eq_ignore_ascii_case("next"))
        });
        if is_next {
            let parameters = query_of(link).ok_or_else(|| no_way_on("Link"))?;
            return Ok(Some(next_with("Link", parameters)));
        }
        rest = following;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("<https://x.example/m?page=2>; rel=\"next\"", Some("page=2"))]
    #[case("</m?a=1,2&b=%2B>; title=\"x\"; rel=next", Some("a=1,2 b=+"))]
    #[case("<?p=1>; rel=prev, <?p=3>; REL=\"Last Next\"", Some("p=3"))]
    #[case("<https://x.example/m?page=9>; rel=\"last\"", None)]
    #[case("</style.css>; rel=preload; as=style", None)]
    #[case("nonsense; rel=next", None)]
    fn headers(#[case] header: &str, #[case] expected: Option<&str>) {
        let next = of_header(header).expect("readable");
        let pairs = next.map(|next| {
            let pairs = next.parameters.into_iter();
            pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        });
        assert_eq!(pairs.as_deref(), expected);
    }

    #[test]
    fn a_next_link_without_a_query_is_a_list_cut_short() {
        of_header("<https://x.example/m/2>; rel=next").expect_err("no way to ask");
    }
}
