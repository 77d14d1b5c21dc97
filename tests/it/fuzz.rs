//! The fuzz targets' entry points on stable: made-up bodies, whole, cut and with bytes changed.

use model_catalog::{Kind, fuzzing};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

const KINDS: [Kind; 7] = [
    Kind::OpenAi,
    Kind::Google,
    Kind::Anthropic,
    Kind::Cohere,
    Kind::Ollama,
    Kind::Bedrock,
    Kind::Cloudflare,
];

/// Any JSON value, with the field names that the parsers look for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(models/)?[a-z0-9:/]{1,20}".prop_map(Value::from),
        "[a-z0-9]{505,520}".prop_map(Value::from),
        Just(json!("2026-02-04T00:00:00Z")),
        Just(json!("600s")),
    ];
    let field = prop_oneof![
        Just("data"),
        Just("models"),
        Just("id"),
        Just("name"),
        Just("model"),
        Just("created"),
        Just("created_at"),
        Just("modified_at"),
        Just("has_more"),
        Just("last_id"),
        Just("nextPageToken"),
        Just("modelSummaries"),
        Just("inferenceProfileSummaries"),
        Just("modelId"),
        Just("modelLifecycle"),
        Just("endOfLifeTime"),
        Just("nextToken"),
        Just("result"),
        Just("result_info"),
        Just("page"),
        Just("total_pages"),
        Just("properties"),
        Just("property_id"),
        Just("value"),
        Just("links"),
        Just("next"),
        Just("context_length"),
        Just("inputTokenLimit"),
        Just("max_tokens"),
        Just("displayName"),
        Just("error"),
        Just("message"),
        Just("details"),
        Just("retryDelay"),
        Just("reason"),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((field.clone(), inner), 0..8).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Value>()
            }),
        ]
    })
}

/// An entry that is nearly a model.
fn any_entry() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        4 => "(models/)?[a-z0-9:/.-]{1,20}".prop_map(Value::from),
        1 => any_json(),
    ];
    let model = (id, any_json(), any_json(), any_json()).prop_map(|(id, created, tokens, name)| {
        json!({
            "id": id, "name": id, "created": created, "created_at": created, "modified_at": created,
            "context_length": tokens, "inputTokenLimit": tokens, "max_tokens": tokens, "displayName": name,
        })
    });
    prop_oneof![3 => model, 1 => any_json()]
}

/// A body that is nearly a list: whole, cut off, or with some bytes changed.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let list = (
        any_json(),
        vec(any_entry(), 0..6),
        prop_oneof![Just("data"), Just("models")],
    )
        .prop_map(|(mut envelope, entries, name)| {
            if let Value::Object(fields) = &mut envelope {
                fields.remove(if name == "data" { "models" } else { "data" });
                fields.insert(name.to_owned(), entries.into());
                envelope
            } else {
                json!({ name: entries })
            }
        });
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (
        list,
        changes,
        any::<prop::sample::Index>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(list, changes, end, cut)| {
            let mut body = list.to_string().into_bytes();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if cut {
                body.truncate(end.index(body.len()));
            }
            body
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_page_breaks_a_promise(body in any_body()) {
        for kind in KINDS {
            fuzzing::page(kind, &body);
        }
    }

    #[test]
    fn no_error_breaks_a_promise(status in 100_u16..1000, body in any_body()) {
        fuzzing::error(status, &body);
    }

    #[test]
    fn no_bytes_break_a_promise(body in vec(any::<u8>(), 0..200), status in any::<u16>()) {
        for kind in KINDS {
            fuzzing::page(kind, &body);
        }
        fuzzing::error(status, &body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_configuration_breaks_a_promise(
        text in "(\\[(providers|endpoints)\\.[a-z.]{0,6}\\]\n|(base_url|kind|ttl|api_key|listen|discover) = ('.{0,8}'|[0-9a-z]{0,3})\n|.{0,10}\n){0,8}"
    ) {
        fuzzing::configuration(&text);
    }
}

#[test]
fn the_made_up_bodies_reach_the_models() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let models: usize = (0..300)
        .map(|_| any_body().new_tree(&mut runner).expect("a body").current())
        .map(|body| {
            KINDS
                .iter()
                .map(|kind| fuzzing::page(*kind, &body))
                .sum::<usize>()
        })
        .sum();
    assert!(models > 100, "{models} models in 300 bodies");
}
