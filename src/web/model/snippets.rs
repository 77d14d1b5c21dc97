//! How to ask for a model, with this catalog's own address. Pure.

use axum::http::{HeaderMap, header::HOST};

use crate::snapshot::merge::ServedModel;

/// A few lines to copy.
pub struct Snippet {
    /// Where they work.
    pub name: &'static str,
    /// The lines.
    pub text: String,
}

/// The address of this catalog, as the browser that sent `headers` has it.
pub fn own_address(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!(
        "{scheme}://{}",
        text(HOST.as_str()).unwrap_or("127.0.0.1:8484")
    )
}

/// How to retrieve `model`, with a key if the catalog `needs_key`.
pub fn snippets(model: &ServedModel, headers: &HeaderMap, needs_key: bool) -> Vec<Snippet> {
    let (key, header) = match needs_key {
        true => ("YOUR_KEY", " -H 'Authorization: Bearer YOUR_KEY'"),
        false => ("any", ""),
    };
    let base = own_address(headers);
    // A JSON text is also a Python text and, but for single quotes, safe in a shell's single quotes.
    let id = serde_json::Value::from(model.id.as_str()).to_string();
    let path = crate::web::markup::model_path(&model.id);
    let path = path.trim_start_matches("/ui/models/").replace('\'', "%27");
    let snippet = |name, text| Snippet { name, text };
    vec![
        snippet("curl", format!("curl -g{header} '{base}/v1/models/{path}'")),
        snippet(
            "OpenAI SDK",
            format!(
                "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{base}/v1\", api_key=\"{key}\")\nprint(client.models.retrieve({id}))"
            ),
        ),
        snippet(
            "Anthropic SDK",
            format!(
                "from anthropic import Anthropic\n\nclient = Anthropic(base_url=\"{base}\", api_key=\"{key}\")\nprint(client.models.retrieve({id}))"
            ),
        ),
        snippet(
            "Google SDK",
            format!(
                "from google import genai\n\nclient = genai.Client(api_key=\"{key}\", http_options={{\"base_url\": \"{base}\"}})\nprint(client.models.get(model={id}))"
            ),
        ),
    ]
}
