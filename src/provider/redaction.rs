//! What is said of a source without its key, on one line of bounded length.

use percent_encoding::percent_decode;
use secrecy::{ExposeSecret, SecretString};

/// The longest message, in bytes.
const MESSAGE_LIMIT: usize = 300;

/// From this length on, the start of a key is replaced too: what a message quotes may be cut in the
/// middle of it. Longer than what the keys of one provider have in common (`sk-ant-api03-`).
const CUT_KEY_BYTES: usize = 16;

/// A shorter key is replaced as a word only: it may be part of our own words.
const WORD_KEY_BYTES: usize = 8;

/// Replaces `key` in `text`, whole or cut, raw or with any of its bytes percent-encoded.
pub fn redact(text: &str, key: &SecretString) -> String {
    let key = key.expose_secret().as_bytes();
    if key.is_empty() {
        return text.to_owned();
    }
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        let (count, length) = count_key_bytes(rest.as_bytes(), key);
        // A part of a character would be no text any more.
        let is_key = count >= CUT_KEY_BYTES.min(key.len()) && rest.is_char_boundary(length);
        if is_key && (key.len() >= WORD_KEY_BYTES || is_word(before, &rest[length..])) {
            redacted.push_str("[key]");
            rest = &rest[length..];
            before = None;
        } else {
            redacted.push(next);
            rest = &rest[next.len_utf8()..];
            before = Some(next);
        }
    }
    redacted
}

/// Whether what is between `before` and `after` is a word or words of its own.
fn is_word(before: Option<char>, after: &str) -> bool {
    let is_part = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    !is_part(before) && !is_part(after.chars().next())
}

/// Returns how many of the first bytes of `key` are at the start of `text`, each raw or as `%2F` or
/// `%2f`, and how many bytes they take up there.
fn count_key_bytes(text: &[u8], key: &[u8]) -> (usize, usize) {
    let mut length = 0;
    for (count, byte) in key.iter().enumerate() {
        let rest = &text[length..];
        if rest.len() >= 3 && percent_decode(&rest[..3]).eq([*byte]) {
            length += 3;
        } else if rest.first() == Some(byte) {
            length += 1;
        } else {
            return (count, length);
        }
    }
    (key.len(), length)
}

/// Puts `text` on one line: control characters become spaces, and it is cut at [`MESSAGE_LIMIT`].
pub fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if line.len() > MESSAGE_LIMIT {
        line.truncate(line.floor_char_boundary(MESSAGE_LIMIT));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "an unexpected answer: x, `x`, key=x",
        "an unexpected answer: [key], `[key]`, key=[key]"
    )]
    #[case("xx ax x%78", "xx ax [key][key]")]
    fn a_short_key_is_replaced_as_a_word_only(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text, &SecretString::from("x")), expected);
    }

    #[rstest]
    #[case::whole("a key-of-24-characters-0123 b", "a [key] b")]
    #[case::encoded("key-of-24-characters%2D0123", "[key]")]
    #[case::cut("a key-of-24-characters…", "a [key]…")]
    #[case::cut_and_encoded("`key%2dof-24-charac`", "`[key]`")]
    #[case::what_keys_have_in_common("key-of-24-other", "key-of-24-other")]
    #[case::twice("key-of-24-characters-0123key-of-24-characters", "[key][key]")]
    #[case::at_its_second_try("key-key-of-24-characters-0123", "key-[key]")]
    fn a_key_is_replaced_whole_or_cut(#[case] text: &str, #[case] expected: &str) {
        let key = SecretString::from("key-of-24-characters-0123");
        assert_eq!(redact(text, &key), expected);
    }

    #[test]
    fn a_short_key_is_replaced_where_it_is_whole() {
        let key = SecretString::from("öä");
        assert_eq!(redact("ö öä %C3%B6%C3%A4 öü", &key), "ö [key] [key] öü");
    }

    #[test]
    fn messages_are_one_bounded_line() {
        let message = one_line(&format!("a\r\nb\u{1b}{}", "ö".repeat(1000)));
        assert!(message.starts_with("a  b ") && message.len() <= MESSAGE_LIMIT + '…'.len_utf8());
    }
}
