//! Reads the values of an entry leniently: a value of an unexpected type is ignored. Pure. JSON
//! pointers (`/top_provider/context_length`) locate the fields.

use serde_json::{Map, Value};

use crate::model::attributes::Attributes;

/// Reads a whole number, given as an integer or as a float; none for anything else.
pub fn integer(value: &Value) -> Option<i64> {
    // Beyond 2^53 a float holds no exact integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let float = value
            .as_f64()
            .filter(|float| float.abs() <= EXACT && float.fract() == 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within 2^53, see above"
        )]
        Some(float as i64)
    })
}

/// Reads a number, also one given as text; none for anything else.
pub fn float(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads a whole number, also one given as text; none with a unit (`128k`: 128,000 or 131,072?).
pub fn integer_of_text(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            // Some languages write a float as `131072.0`.
            text.strip_suffix(".0").unwrap_or(text).parse().ok()
        }
        _ => integer(value),
    }
}

/// Returns the values that exist at `pointers` in `entry`, in this order.
pub fn values<'e>(entry: &'e Value, pointers: &[&str]) -> impl Iterator<Item = &'e Value> {
    pointers.iter().filter_map(|pointer| entry.pointer(pointer))
}

/// Returns the first positive whole number at `pointers` in `entry`: a number of tokens.
pub fn tokens(entry: &Value, pointers: &[&str]) -> Option<i64> {
    values(entry, pointers).find_map(positive)
}

/// Reads a whole number above zero, also one given as text; none for anything else.
pub fn positive(value: &Value) -> Option<i64> {
    integer_of_text(value).filter(|count| *count > 0)
}

/// Returns the first text at `pointers` in `entry` that is not blank.
pub fn text(entry: &Value, pointers: &[&str]) -> Option<String> {
    values(entry, pointers)
        .find_map(|value| value.as_str().filter(|text| !text.trim().is_empty()))
        .map(ToOwned::to_owned)
}

/// Returns the words at `pointers` in `entry`, sorted and each once: the texts of an array, or the
/// names of an object's fields that are `true` or `{"supported": true}`, with a dot before each
/// deeper one (`thinking.types.adaptive`).
pub fn words(entry: &Value, pointers: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for value in values(entry, pointers) {
        match value {
            Value::Array(items) => {
                let texts = items.iter().filter_map(Value::as_str);
                words.extend(
                    texts
                        .filter(|text| !text.trim().is_empty())
                        .map(str::to_owned),
                );
            }
            Value::Object(flags) => add_supported("", flags, &mut words),
            _ => {}
        }
    }
    sorted(words)
}

/// The longest capability name that is read.
const MAX_WORD_BYTES: usize = 256;
/// The most capability names that are read for one model.
const MAX_WORDS: usize = 1000;

fn add_supported(path: &str, flags: &Map<String, Value>, words: &mut Vec<String>) {
    for (name, value) in flags.iter().filter(|(name, _)| *name != "supported") {
        // Each word below repeats the path: longer paths could fill the memory.
        if path.len() + name.len() > MAX_WORD_BYTES || words.len() >= MAX_WORDS {
            continue;
        }
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        if *value == Value::Bool(true) || value["supported"] == true {
            words.push(path.clone());
        }
        if let Value::Object(deeper) = value {
            add_supported(&path, deeper, words);
        }
    }
}

/// Sorts `words` and removes duplicates: some servers change the order with each answer.
pub fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort_unstable();
    words.dedup();
    words
}

/// Returns `known` with those fields of `more` that it lacks.
pub fn completed(known: Attributes, more: &Attributes) -> Attributes {
    let mut fields = more.fields();
    fields.extend(known.fields());
    // Serialized attributes can always be read.
    serde_json::from_value(Value::Object(fields)).unwrap_or(known)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::texts(json!(["b", "a", "b", " ", 7, null]), &["a", "b"])]
    #[case::flags(json!({"vision": true, "ocr": false, "audio": null, "tools": "true"}), &["vision"])]
    #[case::supported(json!({"batch": {"supported": true}, "pdf": {"supported": false}}), &["batch"])]
    #[case::deeper(
        json!({"thinking": {"supported": true, "types": {"adaptive": {"supported": true}, "enabled": {"supported": false}}},
               "supports": {"tool_calls": true}}),
        &["supports.tool_calls", "thinking", "thinking.types.adaptive"]
    )]
    #[case::nothing(json!("vision"), &[])]
    fn words_of_any_shape(#[case] value: Value, #[case] expected: &[&str]) {
        assert_eq!(words(&json!({ "x": value }), &["/x", "/y"]), expected);
    }

    #[rstest]
    #[case(json!(131_072), Some(131_072))]
    #[case(json!(131_072.0), Some(131_072))]
    #[case(json!("131072"), Some(131_072))]
    #[case(json!(" 131072.0 "), Some(131_072))]
    #[case(json!("128k"), None)]
    #[case(json!("131,072"), None)]
    #[case(json!("0"), None)]
    #[case(json!(-1), None)]
    #[case(json!(["131072"]), None)]
    fn numbers_of_tokens(#[case] value: Value, #[case] expected: Option<i64>) {
        assert_eq!(tokens(&json!({ "x": value }), &["/x"]), expected);
    }

    #[test]
    fn names_are_bounded_however_they_multiply() {
        let leaves: Map<String, Value> =
            (0..5_000).map(|n| (format!("a{n}"), true.into())).collect();
        let long = json!({"x".repeat(300): {"a": true}, "b": leaves});
        let words = words(&json!({ "x": long }), &["/x"]);
        assert_eq!(words.len(), MAX_WORDS);
        assert!(words.iter().all(|word| word.starts_with("b.")));
    }

    #[test]
    fn what_was_said_stands() {
        let said = Attributes {
            created: 7,
            context_window: Some(1),
            ..Attributes::default()
        };
        let more = Attributes {
            created: 9,
            context_window: Some(2),
            max_output_tokens: Some(3),
            capabilities: vec!["tools".to_owned()],
            ..Attributes::default()
        };
        let expected = Attributes {
            max_output_tokens: Some(3),
            capabilities: vec!["tools".to_owned()],
            ..said.clone()
        };
        assert_eq!(completed(said, &more), expected);
    }
}
