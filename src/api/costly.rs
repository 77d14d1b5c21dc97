//! Costly answers: made where they hinder nobody, refused when too much is asked at once.

use axum::{
    body::{Body, HttpBody, to_bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::error::ApiError;
use crate::catalog::{Catalog, costly::Busy};

/// Makes an answer with `work`, off the serving threads. Its bytes count as unread until the client
/// has them.
pub async fn costly<A: IntoResponse>(
    catalog: &Catalog,
    work: impl Future<Output = Result<A, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    let costly = &catalog.shared().costly;
    let made = costly.run(async { Ok::<_, ApiError>(work.await?.into_response()) });
    let (head, body) = made.await??.into_parts();
    if body.size_hint().exact().is_none() {
        // A stream: each of its pieces is made and counted by itself.
        return Ok(Response::from_parts(head, body));
    }
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| ApiError::unwritable(&error))?;
    let bytes = costly.count_unread(bytes)?;
    Ok(Response::from_parts(head, Body::from(bytes)))
}

impl From<Busy> for ApiError {
    fn from(Busy: Busy) -> Self {
        Self::busy("Too many costly requests at the moment: try again in a few seconds.")
    }
}

impl ApiError {
    /// A 503: too much of this kind is asked at the moment.
    pub fn busy(message: &str) -> Self {
        Self::invalid(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }
}
