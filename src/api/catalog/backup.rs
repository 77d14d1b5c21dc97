//! `GET /catalog.sqlite`: a consistent copy of the whole database while others write. Refused for
//! restricted keys.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::{fs::File, sync::OwnedSemaphorePermit};
use tokio_util::io::ReaderStream;

use crate::{
    api::{auth::Unrestricted, error::ApiError},
    catalog::Catalog,
};

/// An unlinked temporary file with the copy, and the permit for it.
struct Copy {
    file: File,
    bytes: u64,
    permit: OwnedSemaphorePermit,
}

/// Sends a consistent copy of the database. At most two copies run at a time, each from its
/// creation until the client has read the last byte.
pub async fn copy(
    _: Unrestricted,
    State(catalog): State<Catalog>,
    method: Method,
) -> Result<Response, ApiError> {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.sqlite3"),
        ),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"catalog.sqlite\""),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if method == Method::HEAD {
        return Ok(headers.into_response());
    }
    let shared = catalog.shared();
    let Ok(permit) = Arc::clone(&shared.copying).try_acquire_owned() else {
        let busy = ApiError::invalid(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Two copies are already in progress: try again in a few seconds.",
        );
        return Ok(([(RETRY_AFTER, "5")], busy).into_response());
    };
    // In its own task: SQLite keeps copying when the client disconnects, and the permit must last
    // as long.
    let making = shared.supervisor.tasks.spawn(make(catalog.clone(), permit));
    let copy = match making.await {
        Ok(Ok(copy)) => copy,
        Ok(Err(error)) => return Err(error),
        Err(error) => {
            tracing::error!(%error, "copying the database panicked: please report this");
            return Err(ApiError::internal());
        }
    };
    let Copy {
        file,
        bytes,
        permit,
    } = copy;
    let stream = ReaderStream::new(file).map(move |chunk| {
        // Keeps the permit until the stream ends.
        let _ = &permit;
        chunk
    });
    let length = [(CONTENT_LENGTH, HeaderValue::from(bytes))];
    Ok((headers, length, Body::from_stream(stream)).into_response())
}

async fn make(catalog: Catalog, permit: OwnedSemaphorePermit) -> Result<Copy, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(
            "cannot copy the database: {error}; free space in the temporary folder (TMPDIR)"
        );
        ApiError::internal()
    };
    let made = async {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("catalog.sqlite");
        let copied = catalog.store().backup(&path).await;
        copied.map_err(io::Error::other)?;
        let file = File::open(&path).await?;
        let bytes = file.metadata().await?.len();
        Ok((file, bytes))
    };
    let (file, bytes) = made.await.map_err(|error: io::Error| failed(&error))?;
    Ok(Copy {
        file,
        bytes,
        permit,
    })
}
