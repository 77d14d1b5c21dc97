//! Repairs JSON that a strict reader rejects, without losing anything beside the fault. Pure.
//!
//! Seen: a surrogate without its other half (a text cut in the middle of an emoji), a number too
//! large for a float (`1e400`), `NaN` and `Infinity` (Python's `json.dumps`), a raw line feed in a
//! text, a byte that is not UTF-8. Each affects only its own value: a bad character becomes U+FFFD,
//! a bad number `null`. Everything else stays as sent.

use std::borrow::Cow;

/// The replacement for a character that could not be read.
pub const REPLACEMENT: char = '\u{FFFD}';

/// Returns `body` as text, and whether bytes of it had to be replaced by [`REPLACEMENT`].
pub fn text(body: &[u8]) -> (Cow<'_, str>, bool) {
    let text = String::from_utf8_lossy(body);
    let replaced = matches!(text, Cow::Owned(_));
    (text, replaced)
}

/// Replaces what a strict reader rejects in `json`. Text that is not JSON at all stays invalid.
pub fn mended(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => push_string(&mut mended, rest),
            '-' | '0'..='9' | 'a'..='z' | 'A'..='Z' => push_word(&mut mended, rest),
            _ => {
                mended.push(next);
                next.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    mended
}

/// Adds the string at the start of `rest`. Returns its length in `rest`.
fn push_string(mended: &mut String, rest: &str) -> usize {
    mended.push('"');
    let mut at = 1;
    while let Some(next) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        match next {
            '"' => {
                mended.push('"');
                return at + 1;
            }
            '\\' => at += push_escape(mended, &rest[at..]),
            next if next < ' ' => {
                mended.push_str(&format!("\\u{:04x}", u32::from(next)));
                at += 1;
            }
            next => {
                mended.push(next);
                at += next.len_utf8();
            }
        }
    }
    at
}

/// Adds the escape, or pair of escapes, at the start of `rest`. Returns its length in `rest`.
fn push_escape(mended: &mut String, rest: &str) -> usize {
    let unit = |at: usize| {
        let digits = rest.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let length = match (unit(0), unit(6)) {
        (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
        (Some(0xD800..0xE000), _) => {
            mended.push_str("\\ufffd");
            return 6;
        }
        (Some(_), _) => 6,
        (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
    };
    mended.push_str(&rest[..length]);
    length
}

/// Adds the number or name at the start of `rest`. Returns its length in `rest`.
fn push_word(mended: &mut String, rest: &str) -> usize {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
    let word = &rest[..length];
    let is_unreadable = match word {
        "true" | "false" | "null" => false,
        "NaN" | "Infinity" | "-Infinity" => true,
        // Other words that are not JSON stay, and so stay unreadable.
        _ => word.parse::<f64>().is_ok_and(f64::is_infinite),
    };
    mended.push_str(if is_unreadable { "null" } else { word });
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[rstest]
    #[case(r#"{"a": "x\ud83d", "b": 1}"#, r#"{"a": "x\ufffd", "b": 1}"#)]
    #[case(
        r#"["\ud83d\ude00", "\ude00\ud83d"]"#,
        r#"["\ud83d\ude00", "\ufffd\ufffd"]"#
    )]
    #[case(r#"["\\ud83d", "\"\ud83d"]"#, r#"["\\ud83d", "\"\ufffd"]"#)]
    #[case(r#"[1e400, -1E999, 1e40, "1e400"]"#, r#"[null, null, 1e40, "1e400"]"#)]
    #[case(
        "[NaN, -Infinity, Infinity, true, null]",
        "[null, null, null, true, null]"
    )]
    #[case("[\"a\nb\"]", "[\"a\\u000ab\"]")]
    #[case("[\"ö\",\n1]", "[\"ö\",\n1]")]
    fn costs_the_value_that_it_is_in(#[case] sent: &str, #[case] expected: &str) {
        assert_eq!(mended(sent), expected);
        assert!(serde_json::from_str::<Value>(&mended(sent)).is_ok());
    }

    proptest! {
        #[test]
        fn what_can_be_read_stays_and_nothing_panics(text in any::<String>(), broken in "[\"\\\\udDa-f0-9eN{}+.é-]{0,40}") {
            let readable = Value::from(text).to_string();
            prop_assert_eq!(mended(&readable), readable);
            let _ = mended(&broken);
        }
    }
}
