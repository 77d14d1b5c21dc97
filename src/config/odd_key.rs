//! Keys that were copied with something around them. A provider only says that it refuses them; this
//! says what is odd about them, without showing them.

/// What is odd about `key`, as the rest of a sentence about it; none when nothing is.
pub(crate) fn oddity(key: &str) -> Option<&'static str> {
    const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];
    let starts = |prefix: &str| {
        let start = key.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let variable = key.split_once('=').map_or("", |(name, _)| name);
    let is_placeholder = key.starts_with('$')
        || key.starts_with("{{")
        || (key.starts_with('<') && key.ends_with('>'));
    if key.starts_with(QUOTES) || key.ends_with(QUOTES) {
        Some("is in quotation marks: remove them")
    } else if starts("bearer ") || starts("bearer:") || key.eq_ignore_ascii_case("bearer") {
        Some("begins with `Bearer`, which is no part of it: remove that")
    } else if starts("authorization:") || starts("x-api-key:") || starts("x-goog-api-key:") {
        Some("begins with the name of a header, which is no part of it: remove that")
    } else if ["_KEY", "_TOKEN"].iter().any(|end| variable.ends_with(end)) {
        Some("begins with the name of a variable, which is no part of it: remove that")
    } else if is_placeholder {
        Some("looks like a placeholder: put the key itself there")
    } else if key.contains(char::is_whitespace) {
        Some("has a blank in it: copy it again")
    } else if !key.is_ascii() {
        Some("has a character in it that is not ASCII, maybe an invisible one: copy it again")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("\"sk-Q\"", "quotation")]
    #[case("'sk-Q'", "quotation")]
    #[case("“sk-Q”", "quotation")]
    #[case("sk-Q\"", "quotation")]
    #[case("Bearer sk-Q", "`Bearer`")]
    #[case("bearer sk-Q", "`Bearer`")]
    #[case("Authorization: Bearer sk-Q", "header")]
    #[case("X-Api-Key:sk-Q", "header")]
    #[case("OPENAI_API_KEY=sk-Q", "variable")]
    #[case("$OPENAI_API_KEY", "placeholder")]
    #[case("${OPENAI_API_KEY}", "placeholder")]
    #[case("<sk-Q>", "placeholder")]
    #[case("{{ sk-Q }}", "placeholder")]
    #[case("sk -Q", "blank")]
    #[case("sk-\u{200b}Q", "invisible")]
    fn says_what_is_odd_without_the_key(#[case] key: &str, #[case] expected: &str) {
        let oddity = oddity(key).expect("odd");
        assert!(oddity.contains(expected), "{key}: {oddity}");
        assert!(!oddity.contains("sk"), "{key}: {oddity}");
    }

    #[rstest]
    #[case("sk-proj-0123_-Az")]
    #[case("AIzaSy0123-_")]
    #[case("QUJD_Rw==")]
    #[case("bearer-token-like")]
    #[case("key:with.every/legal+char=~!")]
    fn usual_keys_are_not_odd(#[case] key: &str) {
        assert_eq!(oddity(key), None);
    }
}
