//! Lines of the log for people: the message, and the fields that it does not repeat, without what a terminal
//! would obey.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// `text` with every character escaped that a terminal obeys instead of showing: control characters,
/// and those that change the direction of text or are not seen.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => shown.extend(character.escape_unicode()),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Writes the fields of an event or a span.
pub(super) struct HumanFields;

impl<'writer> FormatFields<'writer> for HumanFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut read = Read::default();
        fields.record(&mut read);
        writer.write_str(&read.message)?;
        let mut is_first = read.message.is_empty();
        for (name, value) in &read.fields {
            if has_word(&read.message, value) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                writer.write_char(' ')?;
            }
            write!(writer, "{name}={value}")?;
        }
        Ok(())
    }
}

/// Whether `message` says `value`, as a word or words of its own.
fn has_word(message: &str, value: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    !value.is_empty()
        && message.match_indices(value).any(|(at, _)| {
            let before = message[..at].chars().next_back();
            let after = message[at + value.len()..].chars().next();
            !is_part(before) && !is_part(after)
        })
}

#[derive(Default)]
struct Read {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Read {
    fn add(&mut self, field: &Field, value: &str) {
        let value = printable(value);
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn written(log: impl FnOnce()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(HumanFields)
            .with_writer(move || Lines(output.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let lines = lines.lock().expect("no panic");
        String::from_utf8(lines.clone()).expect("text")
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_the_message_says_is_not_said_twice() {
        let line = written(|| {
            tracing::info!(
                provider = "openai",
                added = 3,
                pages = 1,
                "openai: 3 added of 10"
            );
        });
        assert_eq!(line, " INFO openai: 3 added of 10 pages=1\n");
        let line = written(|| tracing::info!(code = 401, detail = "no key"));
        assert_eq!(line, " INFO code=401 detail=no key\n");
    }

    #[test]
    fn no_text_makes_a_line_of_its_own_or_moves_the_cursor() {
        let line = written(|| {
            let odd = "evil\n ERROR forged\u{1b}[2J\u{202e}";
            tracing::info!(said = odd, "the source said {odd}");
        });
        assert_eq!(
            line,
            " INFO the source said evil\\n ERROR forged\\u{1b}[2J\\u{202e}\n"
        );
    }
}
