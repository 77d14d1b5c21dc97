//! Text for a terminal: tables, and what sources say without what a terminal would obey.

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use serde_json::Value;

pub(super) use crate::log::printable;

/// The field `name` of `object` as text; empty when it is absent.
pub(super) fn field(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The columns whose words have a colour.
const COLOURED: [&str; 4] = ["STATE", "EVENT", "VERDICT", "LIFECYCLE"];
const BOLD: Style = Style::new().bold();

/// The colour of a `word` that says how something is.
fn style(word: &str) -> Style {
    let colour = match word {
        "fresh" | "ok" | "on" | "added" | "returned" | "shown" | "active" => AnsiColor::Green,
        "stale" | "warning" | "changed" | "held" | "deprecated" | "incomplete" => AnsiColor::Yellow,
        "missing" | "failed" | "problem" | "removed" | "hidden" | "gone" | "retired" => {
            AnsiColor::Red
        }
        _ => return Style::new(),
    };
    colour.on_default()
}

/// A table of text, with a line of `names` above its `rows`. Its colours are for a terminal:
/// [`super::files::print`] leaves them out elsewhere.
pub(super) fn table<const N: usize>(
    names: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(names.map(|name| format!("{BOLD}{name}{BOLD:#}")));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        let mut columns = names.iter();
        table.add_row(row.map(|cell| {
            let style = match columns.next().is_some_and(|name| COLOURED.contains(name)) {
                true => style(&cell),
                false => Style::new(),
            };
            format!("{style}{}{style:#}", printable(&cell))
        }));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(
            printable("gpt-4o (große Äugen) 模型"),
            "gpt-4o (große Äugen) 模型"
        );
        assert_eq!(
            printable("a\u{1b}[2Jb\r\nc\u{202e}d\u{7f}"),
            r"a\u{1b}[2Jb\r\nc\u{202e}d\u{7f}"
        );
        let table = table(
            ["ID", "NAME"],
            [["x".to_owned(), "\u{1b}]0;title\u{7}".to_owned()]],
        );
        let plain = anstream::adapter::strip_str(&table).to_string();
        assert_eq!(plain, "ID  NAME\nx   \\u{1b}]0;title\\u{7}");
    }

    #[test]
    fn colours_take_no_room() {
        let rows = [["fresh", "fresh"], ["gone", "x"]];
        let table = table(["STATE", "MODEL"], rows.map(|row| row.map(str::to_owned)));
        let plain = anstream::adapter::strip_str(&table).to_string();
        assert_eq!(plain, "STATE  MODEL\nfresh  fresh\ngone   x");
        assert_eq!(table.matches("\u{1b}[32m").count(), 1, "{table:?}");
        assert!(table.contains("\u{1b}[31mgone\u{1b}[0m"), "{table:?}");
    }
}
