//! Text for a terminal: tables, and what sources say without what a terminal would obey.

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

/// A table of plain text, with a line of `names` above its `rows`.
pub(super) fn table<const N: usize>(
    names: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(names);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
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
        assert_eq!(table, "ID  NAME\nx   \\u{1b}]0;title\\u{7}");
    }
}
