//! `GET /catalog.sqlite`: the whole database as a file, whatever is written meanwhile.

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use tokio_util::io::ReaderStream;

use super::error::ApiError;
use crate::Catalog;

/// A consistent copy. One is made at a time; it is streamed from a file that has no name any more.
pub async fn copy(State(catalog): State<Catalog>) -> Result<Response, ApiError> {
    let Ok(_one_at_a_time) = catalog.shared().copying.try_acquire() else {
        let busy = ApiError::invalid(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "A copy is being made already: try again in some seconds.",
        );
        let mut response = busy.into_response();
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        return Ok(response);
    };
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "a copy of the database cannot be made: make room in the folder for temporary files (TMPDIR)");
        ApiError::internal()
    };
    let directory = tempfile::tempdir().map_err(failed)?;
    let path = directory.path().join("catalog.sqlite");
    catalog.store().copy_to(&path).await?;
    let file = tokio::fs::File::open(&path).await.map_err(failed)?;
    let bytes = file.metadata().await.map_err(failed)?.len();
    Ok((
        [
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/vnd.sqlite3"),
            ),
            (CONTENT_LENGTH, bytes.into()),
            (
                CONTENT_DISPOSITION,
                HeaderValue::from_static("attachment; filename=\"catalog.sqlite\""),
            ),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        Body::from_stream(ReaderStream::new(file)),
    )
        .into_response())
}
