//! Recorded answers of real services through the whole path. They are not part of the repository:
//! `PAYLOADS_DIR` names their folder (a folder per service, `*models*.json` / `api_tags*.json` for
//! lists, `api_show*.json` and `api_v0*.json` for what is asked beside them, `error_<status>_*.json`
//! for errors).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use model_catalog::{Kind, SourceConfig};
use serde_json::{Map, Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path, query_param, query_param_is_missing},
};

use crate::helpers::{Setup, google_model, mount};

const LOCAL: [&str; 5] = ["llamacpp", "lmstudio", "ollama", "sglang", "vllm"];

struct Recording {
    service: String,
    file: PathBuf,
}

impl Recording {
    fn stem(&self) -> &str {
        self.file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a file name")
    }

    fn is_local(&self) -> bool {
        LOCAL.contains(&self.service.as_str())
    }

    fn body(&self) -> Vec<u8> {
        std::fs::read(&self.file).expect("a readable recording")
    }

    fn source(&self, name: &str, base: &str) -> SourceConfig {
        let source = match self.service.as_str() {
            _ if self.is_local() => SourceConfig::endpoint(name, base),
            "google" => SourceConfig::provider(name, Kind::Google, base, None),
            "anthropic" => SourceConfig::provider(name, Kind::Anthropic, base, None),
            "azure_openai" => {
                SourceConfig::provider(name, Kind::Azure, &format!("{base}/v1"), None)
            }
            "cohere" => SourceConfig::provider(name, Kind::Cohere, &format!("{base}/v1"), None),
            "openrouter" => {
                SourceConfig::provider(name, Kind::OpenRouter, &format!("{base}/v1"), None)
            }
            _ => SourceConfig::provider(name, Kind::OpenAi, &format!("{base}/v1"), None),
        };
        source.expect("a usable source")
    }

    fn path(&self) -> &'static str {
        match (self.service.as_str(), self.stem().starts_with("api_tags")) {
            ("google", _) => "/v1beta/models",
            (_, true) => "/api/tags",
            _ => "/v1/models",
        }
    }

    /// The whole list below its source's base, in its own dialect.
    fn own_path(&self) -> &'static str {
        match self.path() {
            "/v1beta/models" => "/v1beta/models?pageSize=1000",
            "/v1/models" if self.service == "anthropic" => "/v1/models?limit=1000",
            path => path,
        }
    }

    /// The entries in the recording.
    fn entries(&self) -> Vec<Value> {
        let body = self.body();
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
        let body: Value = serde_json::from_slice(body).expect("JSON");
        // llama.cpp has every model twice.
        [&body, &body["data"], &body["models"]]
            .into_iter()
            .find_map(Value::as_array)
            .cloned()
            .unwrap_or_default()
    }

    /// The models in the recording, read independently of the catalog, with repetitions: id and
    /// entry.
    fn models(&self) -> Vec<(String, Value)> {
        let with_id = |entry: Value| {
            let id = entry["id"]
                .as_str()
                .or(entry["name"].as_str())
                .expect("an id");
            let id = match self.service.as_str() {
                "google" => id.replacen("models/", "", 1),
                _ => id.to_owned(),
            };
            (id, entry)
        };
        self.entries().into_iter().map(with_id).collect()
    }
}

/// Where services put what there is a field for. A value there that says something must be served.
const PLACES: [(&str, &str); 28] = [
    ("/created", "created"),
    ("/created_at", "created"),
    ("/modified_at", "created"),
    ("/display_name", "display_name"),
    ("/displayName", "display_name"),
    ("/description", "description"),
    ("/inputTokenLimit", "context_window"),
    ("/max_input_tokens", "context_window"),
    ("/context_length", "context_window"),
    ("/context_window", "context_window"),
    ("/max_context_length", "context_window"),
    ("/max_model_len", "context_window"),
    ("/meta/n_ctx_train", "context_window"),
    ("/outputTokenLimit", "max_output_tokens"),
    ("/max_tokens", "max_output_tokens"),
    ("/max_completion_tokens", "max_output_tokens"),
    ("/top_provider/max_completion_tokens", "max_output_tokens"),
    ("/architecture/input_modalities", "input_modalities"),
    ("/architecture/output_modalities", "output_modalities"),
    ("/capabilities", "capabilities"),
    ("/supported_parameters", "capabilities"),
    ("/thinking", "capabilities"),
    ("/supportedGenerationMethods", "supported_methods"),
    ("/pricing", "pricing"),
    ("/knowledge_cutoff", "knowledge_cutoff"),
    ("/lifecycle_status", "lifecycle"),
    ("/expiration_date", "retires_at"),
    ("/deprecation", "retires_at"),
];

/// Whether `value` says anything: something true, above zero, or a text somewhere in it.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

/// Fails where `recorded` says what there is a field for and `served` lacks it.
fn assert_nothing_lost(what: &str, recorded: &Value, served: &Value) {
    for (place, field) in PLACES {
        let said = recorded.pointer(place).is_some_and(says_something);
        // The constant that stands for nothing.
        if said && recorded[field] != 735_790_403 {
            assert!(
                says_something(&served[field]),
                "{what}: {place} is not served as {field}: {recorded}"
            );
        }
    }
}

/// `own`, a source's own list, has every recorded entry with every field of it that is not null; of an
/// id that was recorded twice one of the two.
fn assert_own_list(list: &Recording, own: &Value) {
    let own = own["data"].as_array().or(own["models"].as_array());
    let own = own.expect("a list");
    let id = |entry: &Value| {
        entry["id"]
            .as_str()
            .or(entry["name"].as_str())
            .map(str::to_owned)
    };
    let recorded = list.entries();
    for entry in own {
        let has_all = |recorded: &Value| {
            let fields = recorded.as_object().expect("an object");
            let kept = |(name, value): (&String, &Value)| value.is_null() || entry[name] == *value;
            id(recorded) == id(entry) && fields.iter().all(kept)
        };
        let of_ours = list.service == "google" && entry["name"] == "models/ours";
        assert!(
            of_ours || recorded.iter().any(has_all),
            "{}/{}: {entry}",
            list.service,
            list.stem()
        );
    }
}

fn recordings(folder: &Path, wanted: impl Fn(&str, &str) -> bool) -> Vec<Recording> {
    let mut found = Vec::new();
    for service in std::fs::read_dir(folder).expect("PAYLOADS_DIR is a folder") {
        let service = service.expect("an entry");
        if !service.path().is_dir() {
            continue;
        }
        let name = service.file_name().into_string().expect("a name");
        for file in std::fs::read_dir(service.path()).expect("a folder") {
            let file = file.expect("an entry").path();
            let stem = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a name")
                .to_owned();
            if wanted(&name, &stem) {
                found.push(Recording {
                    service: name.clone(),
                    file,
                });
            }
        }
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
fn folder() -> Option<PathBuf> {
    std::env::var_os("PAYLOADS_DIR")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

#[tokio::test]
async fn every_recorded_model_is_listed_once_and_nothing_else() {
    let Some(folder) = folder() else {
        println!("recorded payloads: not run");
        return;
    };
    // What is asked beside lists has a test of its own.
    let lists = recordings(&folder, |_, stem| {
        (stem.contains("models") || stem.starts_with("api_tags"))
            && !stem.starts_with("error")
            && !stem.starts_with("api_v")
    });
    assert!(
        lists.len() > 20,
        "{} recorded lists in {}",
        lists.len(),
        folder.display()
    );

    let mut setup = Setup::new().await;
    setup.providers.clear();
    let mut servers = Vec::new();
    let mut expected = BTreeMap::new();
    for (number, list) in lists.iter().enumerate() {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_raw(list.body(), "application/json");
        let first_page = Mock::given(method("GET")).and(path(list.path()));
        let mut models = list.models();
        if list.stem().contains("page1_of_n") {
            first_page
                .and(query_param_is_missing("pageToken"))
                .respond_with(answer)
                .mount(&server)
                .await;
            let second =
                ResponseTemplate::new(200).set_body_json(json!({"models": [google_model("ours")]}));
            let token =
                serde_json::from_slice::<Value>(&list.body()).expect("JSON")["nextPageToken"]
                    .clone();
            Mock::given(query_param("pageToken", token.as_str().expect("a token")))
                .respond_with(second)
                .mount(&server)
                .await;
            models.push(("ours".to_owned(), google_model("ours")));
        } else {
            first_page.respond_with(answer).mount(&server).await;
        }
        let name = format!("s{number}");
        setup.extra.push(list.source(&name, &server.uri()));
        expected.insert(name, (list, models));
        servers.push(server);
    }

    let app = setup.start_ready().await;
    let served = app.models().await.json();
    let served = served["data"].as_array().expect("data");
    let ids: BTreeSet<&str> = served
        .iter()
        .map(|model| model["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids.len(), served.len(), "no id twice");
    let (mut listed, mut fields) = (0, 0);
    for (name, (list, recorded)) in &expected {
        let what = format!("{}/{}", list.service, list.stem());
        let of_source: BTreeMap<&str, &Value> = served
            .iter()
            .filter(|model| match list.is_local() {
                true => model["endpoints"]
                    .as_array()
                    .is_some_and(|names| names.contains(&json!(name))),
                false => model["owned_by"] == json!(name),
            })
            .map(|model| {
                let id = model["id"].as_str().expect("an id");
                (id.strip_prefix(&format!("{name}:")).unwrap_or(id), model)
            })
            .collect();
        let ids: BTreeSet<&str> = recorded.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(
            of_source.keys().copied().collect::<BTreeSet<_>>(),
            ids,
            "{what}"
        );
        let mut of_list = 0;
        for (id, model) in &of_source {
            // Of an id that is listed twice the first entry stands. Of one that several servers have
            // the first server speaks.
            let mut entries = recorded.iter().filter(|(other, _)| other == id);
            let (_, entry) = entries.next().expect("recorded");
            if !list.is_local() || model["endpoints"][0] == json!(name) {
                assert_nothing_lost(&format!("{what}: {id}"), entry, model);
                of_list += model["metadata_source"].as_object().map_or(0, Map::len);
            }
        }
        println!("{what}: {} models, {of_list} fields of metadata", ids.len());
        listed += ids.len();
        fields += of_list;
        let base = format!("/catalog/providers/{name}{}", list.own_path());
        let own = app.get(&base).await.json();
        assert_own_list(list, &own);
    }
    println!(
        "recorded payloads: {} lists, {listed} models, {fields} fields of metadata",
        expected.len()
    );
    let skipped = setup.sql("SELECT SUM(skipped) FROM fetches").await;
    assert_eq!(skipped, [[json!(0)]], "no recorded entry is unusable");
    app.stop().await;
}

#[tokio::test]
async fn every_recorded_error_is_named_and_loses_nothing() {
    let Some(folder) = folder() else {
        println!("recorded payloads: not run");
        return;
    };
    let errors = recordings(&folder, |_, stem| stem.starts_with("error_"));
    assert!(
        errors.len() > 15,
        "{} recorded errors in {}",
        errors.len(),
        folder.display()
    );
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let mut servers = Vec::new();
    for (number, error) in errors.iter().enumerate() {
        let server = MockServer::start().await;
        let status: u16 = error.stem()[6..9].parse().expect("error_<status>_…");
        let answer = ResponseTemplate::new(status).set_body_raw(error.body(), "application/json");
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        setup
            .extra
            .push(error.source(&format!("s{number}"), &server.uri()));
        servers.push((status, server));
    }
    let app = setup.start_ready().await;
    for (number, error) in errors.iter().enumerate() {
        let source = app.source(&format!("s{number}")).await;
        let expected = match (servers[number].0, error.stem()) {
            (_, "error_400_api_key_invalid" | "error_400_invalid_key") | (401, _) => "unauthorized",
            (403, _) => "forbidden",
            (429, _) => "rate_limited",
            (500.., _) => "unavailable",
            _ => "rejected",
        };
        let what = format!("{}/{}", error.service, error.stem());
        assert_eq!(source["error"]["kind"], expected, "{what}");
        assert!(
            source["error"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}"
        );
    }
    println!("recorded payloads: {} errors", errors.len());
    app.stop().await;
}

#[tokio::test]
async fn every_recorded_detail_is_served() {
    let Some(folder) = folder() else {
        println!("recorded payloads: not run");
        return;
    };
    let details = recordings(&folder, |_, stem| {
        stem.starts_with("api_show") || stem.starts_with("api_v0")
    });
    assert!(!details.is_empty(), "none in {}", folder.display());
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let mut servers = Vec::new();
    for (number, detail) in details.iter().enumerate() {
        let server = MockServer::start().await;
        let name = format!("s{number}");
        let answer = ResponseTemplate::new(200).set_body_raw(detail.body(), "application/json");
        let (at, list) = if detail.stem().starts_with("api_show") {
            Mock::given(method("POST"))
                .and(path("/api/show"))
                .respond_with(answer)
                .mount(&server)
                .await;
            (
                "/api/tags",
                json!({"models": [{"name": name, "digest": "d"}]}),
            )
        } else {
            Mock::given(method("GET"))
                .and(path("/api/v0/models"))
                .respond_with(answer)
                .mount(&server)
                .await;
            let listed = |(id, _)| json!({"id": id, "owned_by": "organization_owner"});
            let data: Vec<Value> = detail.models().into_iter().map(listed).collect();
            ("/v1/models", json!({ "data": data }))
        };
        mount(&server, at, list).await;
        setup.extra.push(detail.source(&name, &server.uri()));
        servers.push(server);
    }
    let app = setup.start_ready().await;
    for (number, detail) in details.iter().enumerate() {
        let what = format!("{}/{}", detail.service, detail.stem());
        let models = match detail.stem().starts_with("api_show") {
            true => vec![(
                format!("s{number}"),
                serde_json::from_slice(&detail.body()).expect("JSON"),
            )],
            false => detail.models(),
        };
        let mut fields = 0;
        for (id, recorded) in models {
            let served = app.get(&format!("/v1/models/{id}")).await.json();
            // Of `show`, which has the file's time and no id.
            let mut recorded = recorded;
            recorded["modified_at"] = Value::Null;
            assert_nothing_lost(&what, &recorded, &served);
            assert!(served["context_window"].is_number(), "{what}: {served}");
            fields += served["metadata_source"].as_object().map_or(0, Map::len);
        }
        println!("{what}: {fields} fields of metadata");
    }
    app.stop().await;
}
