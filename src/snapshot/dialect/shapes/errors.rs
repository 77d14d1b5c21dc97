//! The shapes of errors in each dialect, for the OpenAPI document.
#![expect(
    dead_code,
    reason = "only their schemas are used: no answer is made from them"
)]

use utoipa::ToSchema;

/// An error in OpenAI's shape, and of every route that is nobody's dialect.
#[derive(ToSchema)]
pub struct Error {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(ToSchema)]
pub struct ErrorDetail {
    /// A plain sentence.
    message: String,
    r#type: ErrorType,
    /// The parameter that it is about.
    #[schema(required = true)]
    param: Option<String>,
    /// A stable word.
    code: String,
}

/// Whose fault it is.
#[derive(ToSchema)]
pub enum ErrorType {
    /// The request's.
    #[schema(rename = "invalid_request_error")]
    Request,
    /// The key is missing or wrong.
    #[schema(rename = "authentication_error")]
    Key,
    /// The catalog's.
    #[schema(rename = "server_error")]
    Catalog,
}

/// An error in Anthropic's shape.
#[derive(ToSchema)]
pub struct AnthropicError {
    r#type: AnthropicErrorObject,
    error: AnthropicErrorDetail,
    /// Null: the catalog numbers no requests.
    #[schema(required = true)]
    request_id: Option<String>,
}

/// What an object is, in Anthropic's shape.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum AnthropicErrorObject {
    /// An error.
    Error,
}

/// What went wrong.
#[derive(ToSchema)]
pub struct AnthropicErrorDetail {
    /// Anthropic's word for the status.
    r#type: String,
    /// A plain sentence.
    message: String,
    details: AnthropicErrorCode,
}

/// The catalog's own word.
#[derive(ToSchema)]
pub struct AnthropicErrorCode {
    /// A stable word.
    error_code: String,
}

/// An error in Gemini's shape.
#[derive(ToSchema)]
pub struct GeminiError {
    error: GeminiErrorDetail,
}

/// What went wrong.
#[derive(ToSchema)]
pub struct GeminiErrorDetail {
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    code: u16,
    /// A plain sentence.
    message: String,
    /// Google's word for the status.
    status: String,
    #[schema(min_items = 1, max_items = 1)]
    details: Vec<GeminiErrorInfo>,
}

/// The catalog's own word.
#[derive(ToSchema)]
pub struct GeminiErrorInfo {
    #[schema(rename = "@type")]
    r#type: String,
    /// A stable word, in capitals.
    reason: String,
    domain: String,
}

/// An error in Ollama's shape.
#[derive(ToSchema)]
pub struct OllamaError {
    /// A plain sentence.
    error: String,
}
