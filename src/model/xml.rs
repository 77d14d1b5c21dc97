//! Text for XML documents.

/// `text` with the characters that XML cannot hold replaced
/// (<https://www.w3.org/TR/xml/#charsets>).
pub fn xml_text(text: &str) -> String {
    let allowed = |char: char| match char {
        '\t' | '\n' | '\r' => true,
        '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => true,
    };
    text.chars()
        .map(|char| if allowed(char) { char } else { '\u{FFFD}' })
        .collect()
}
