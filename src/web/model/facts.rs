//! What is known about a model, field by field, and who said it. Pure.

use crate::{
    snapshot::merge::ServedModel,
    web::markup::{Time, number, value},
};

/// A field with its value.
pub struct Fact {
    /// What it is called on the page.
    pub label: &'static str,
    /// Its name in answers.
    pub field: &'static str,
    /// Its value.
    pub value: FactValue,
    /// Who said it.
    pub origin: String,
}

/// The value of a field.
pub enum FactValue {
    /// A text, or a number in words.
    Text(String),
    /// Several words.
    List(Vec<String>),
    /// Names and values.
    Table(Vec<(String, String)>),
    /// A time.
    Time(Time),
}

/// The facts about `model`.
pub fn facts(model: &ServedModel) -> Vec<Fact> {
    let attributes = model.attributes();
    let own = model.rows[0].source.as_str();
    let mut facts = Vec::new();
    let mut add = |label, field: &'static str, value: Option<FactValue>| {
        let filled_in = attributes.enriched.get(field).map(String::as_str);
        if let Some(value) = value {
            facts.push(Fact {
                label,
                field,
                value,
                origin: filled_in.unwrap_or(own).to_owned(),
            });
        }
    };
    let tokens = |tokens: Option<i64>| {
        tokens.map(|tokens| FactValue::Text(format!("{} tokens", number(tokens))))
    };
    let list = |words: &[String]| (!words.is_empty()).then(|| FactValue::List(words.to_vec()));
    let text = |text: &Option<String>| text.clone().map(FactValue::Text);
    let prices: Vec<(String, String)> = attributes
        .pricing
        .iter()
        .map(|(name, price)| (name.clone(), value(price)))
        .collect();
    let created = (attributes.created != 0).then(|| {
        let milliseconds = attributes.created.saturating_mul(1000);
        FactValue::Time(Time::day(crate::model::time::Timestamp::from_millis(
            milliseconds,
        )))
    });
    let day = |at: Option<_>| at.map(|at| FactValue::Time(Time::date(at)));
    add(
        "Context window",
        "context_window",
        tokens(attributes.context_window),
    );
    add(
        "Context it could have",
        "max_context_window",
        tokens(attributes.max_context_window),
    );
    add(
        "Longest output",
        "max_output_tokens",
        tokens(attributes.max_output_tokens),
    );
    add(
        "Takes",
        "input_modalities",
        list(&attributes.input_modalities),
    );
    add(
        "Makes",
        "output_modalities",
        list(&attributes.output_modalities),
    );
    add("Can", "capabilities", list(&attributes.capabilities));
    add(
        "Methods",
        "supported_methods",
        list(&attributes.supported_methods),
    );
    let has_prices = (!prices.is_empty()).then_some(FactValue::Table(prices));
    add("Prices, in the source's own units", "pricing", has_prices);
    add(
        "Knows until",
        "knowledge_cutoff",
        text(&attributes.knowledge_cutoff),
    );
    add("Created", "created", created);
    add("Lifecycle", "lifecycle", text(&attributes.lifecycle));
    add(
        "Deprecated from",
        "deprecated_at",
        day(attributes.deprecated_at),
    );
    add("Shut down on", "retires_at", day(attributes.retires_at));
    facts
}
