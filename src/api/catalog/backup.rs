//! `GET /catalog.sqlite`: the whole database as a file, whatever is written meanwhile. Not for keys that
//! may see some of it only.

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

/// A copy: a file that has no name any more, and the right to have it.
struct Copy {
    file: File,
    bytes: u64,
    permit: OwnedSemaphorePermit,
}

/// A consistent copy. Two may be under way at a time, from their making to the last byte that a
/// client takes.
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
            "Two copies are under way already: try again in some seconds.",
        );
        return Ok(([(RETRY_AFTER, "5")], busy).into_response());
    };
    // In a task of its own: SQLite goes on when the client has gone, and so does the permit.
    let making = shared.tasks.spawn(make(catalog.clone(), permit));
    let copy = match making.await {
        Ok(Ok(copy)) => copy,
        Ok(Err(error)) => return Err(error),
        Err(error) => {
            tracing::error!(%error, "making a copy of the database panicked: please report this");
            return Err(ApiError::internal());
        }
    };
    let Copy {
        file,
        bytes,
        permit,
    } = copy;
    let stream = ReaderStream::new(file).map(move |chunk| {
        // Held as long as the stream is.
        let _ = &permit;
        chunk
    });
    let length = [(CONTENT_LENGTH, HeaderValue::from(bytes))];
    Ok((headers, length, Body::from_stream(stream)).into_response())
}

async fn make(catalog: Catalog, permit: OwnedSemaphorePermit) -> Result<Copy, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(
            "a copy of the database cannot be made: {error}; make room in the folder for temporary files (TMPDIR)"
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
