//! Error answers: a stable code and a plain sentence, in the caller's dialect.

use axum::{
    Json,
    extract::rejection::QueryRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    snapshot::{dialect::Dialect, selection::BadFilter},
    store::error::StoreError,
};

/// An error answer.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The caller's dialect, when the code that made the error knew it.
    pub(super) dialect: Option<Dialect>,
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
}

/// Longest part of a request that an error echoes, and of a value that a feed shows, in bytes.
const ECHO_LIMIT: usize = 200;

/// What a path cannot hold as it is. Ids keep their `/` and `:`, as clients write them.
pub const NOT_IN_PATHS: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Cuts `text` to a length that an error may echo or a feed may show.
pub fn shortened(text: &str) -> String {
    let cut = text.floor_char_boundary(ECHO_LIMIT);
    if cut == text.len() {
        text.to_owned()
    } else {
        format!("{}…", &text[..cut])
    }
}

impl ApiError {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened and what to do, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An error that the request caused.
    pub fn invalid(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            dialect: None,
            status,
            kind: "invalid_request_error",
            code,
            param: None,
            message: message.into(),
        }
    }

    /// A 400: a parameter is invalid.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, code, message)
    }

    /// A 404 with OpenAI's own words: the model `id` is not listed.
    pub fn no_model(id: &str) -> Self {
        let message = format!("The model '{}' does not exist", shortened(id));
        Self {
            param: Some("model"),
            ..Self::invalid(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// The same with the `closest` listed ids, and where to learn why `id` is not listed.
    pub fn and_closest(mut self, id: &str, closest: &[String]) -> Self {
        let ids: Vec<String> = closest.iter().map(|id| shortened(id)).collect();
        if let Some((last, others)) = ids.split_last() {
            let or = if others.is_empty() { "" } else { " or " };
            self.message += &format!(". Did you mean {}{or}{last}?", others.join(", "));
        }
        let path = utf8_percent_encode(id, &NOT_IN_PATHS).to_string();
        if !id.is_empty() && path.len() <= ECHO_LIMIT {
            let dot = if ids.is_empty() { "." } else { "" };
            self.message += &format!("{dot} Why: GET /catalog/why/{path}");
        }
        self
    }

    /// A 401: the key is missing or wrong.
    pub fn unauthorized(code: &'static str, message: &str) -> Self {
        Self {
            kind: "authentication_error",
            ..Self::invalid(StatusCode::UNAUTHORIZED, code, message)
        }
    }

    /// A 401: the admin key is missing or wrong.
    pub fn no_admin_key() -> Self {
        Self::unauthorized(
            "invalid_admin_key",
            "This needs the admin key (MODEL_CATALOG_ADMIN_KEY): send it as Authorization: Bearer, x-api-key, x-goog-api-key or api-key.",
        )
    }

    /// The request exceeded its time limit.
    pub fn timeout() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "timeout",
            message: "The request took too long: try again.".to_owned(),
            ..Self::internal()
        }
    }

    /// This error for a caller that uses `dialect`.
    pub fn in_dialect(self, dialect: Dialect) -> Self {
        Self {
            dialect: Some(dialect),
            ..self
        }
    }

    /// A 503: the disk has no room for a copy of the database, or it cannot be read. The cause is in the
    /// log.
    pub fn no_copy() -> Self {
        Self {
            code: "database_unavailable",
            message: "The database cannot be copied at the moment: see the log of model-catalog."
                .to_owned(),
            ..Self::timeout()
        }
    }

    /// A 500. The cause is in the log.
    pub fn internal() -> Self {
        let message = "Internal error: see the log of model-catalog.".to_owned();
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self {
            dialect: None,
            status,
            kind: "server_error",
            code: "internal_error",
            param: None,
            message,
        }
    }
}

impl ApiError {
    /// A 500: an answer could not be serialized, which only a bug can cause.
    pub fn unwritable(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("cannot serialize an answer: {error}; please report this");
        Self::internal()
    }
}

impl From<BadFilter> for ApiError {
    fn from(filter: BadFilter) -> Self {
        Self {
            param: Some(filter.name),
            ..Self::bad("invalid_parameter", filter.message)
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "cannot read the history: {error}");
        Self {
            code: "database_unavailable",
            message: "The database cannot be read at the moment: see the log of model-catalog."
                .to_owned(),
            ..Self::timeout()
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let cause = text
            .rsplit_once("query string: ")
            .map_or(text.as_str(), |(_, what)| what);
        let message = format!("Invalid query string: {}", shortened(cause));
        Self::invalid(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let dialect = self.dialect.unwrap_or(Dialect::OpenAi);
        let Self {
            kind, code, param, ..
        } = self;
        let error = dialect.error(self.status, kind, code, param, &self.message);
        // Never cache an error: a missing model may be listed a second later.
        let mut response = (
            self.status,
            [(header::CACHE_CONTROL, "no-store")],
            Json(error),
        )
            .into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if code == "busy" {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        // Read by `in_callers_dialect`.
        response.extensions_mut().insert(self);
        response
    }
}
