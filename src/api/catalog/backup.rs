//! `GET /catalog.sqlite`: a consistent copy of the whole database while others write. Refused for
//! restricted keys.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderValue, Method,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tempfile::NamedTempFile;
use tokio::{fs::File, sync::OwnedSemaphorePermit, time::sleep};
use tokio_util::io::ReaderStream;

use crate::{
    api::{auth::Unrestricted, error::ApiError},
    catalog::Catalog,
    store::error::StoreError,
};

/// How often to look whether the copy's file can lose its name.
const UNLINK_INTERVAL: Duration = Duration::from_millis(2);

/// An unlinked temporary file with the copy, and the permit for it.
struct Copy {
    file: File,
    bytes: u64,
    permit: OwnedSemaphorePermit,
}

/// Sends a consistent copy of the database.
///
/// At most two copies run at a time, each from its
/// creation until the client has read the last byte.
#[utoipa::path(
    get,
    path = "/catalog.sqlite",
    tag = "operations",
    operation_id = "copyDatabase",
    responses(
        (status = 200, description = "The copy, a SQLite database", body = String, content_type = "application/vnd.sqlite3"),
    )
)]
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
        return Err(ApiError::busy(
            "Two copies are already in progress: try again in a few seconds.",
        ));
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

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum CopyError {
    Store(#[from] StoreError),
    File(#[from] io::Error),
}

async fn make(catalog: Catalog, permit: OwnedSemaphorePermit) -> Result<Copy, ApiError> {
    let made = async {
        let named = NamedTempFile::new()?;
        let file = File::from_std(named.reopen()?);
        let path = named.path().to_owned();
        let mut named = Some(named);
        let copying = catalog.store().backup(&path);
        tokio::pin!(copying);
        loop {
            tokio::select! {
                copied = &mut copying => {
                    copied?;
                    break;
                }
                // Once SQLite has it open, the file needs no name, so that a process that is killed leaves
                // nothing behind.
                () = sleep(UNLINK_INTERVAL), if named.is_some() => {
                    if file.metadata().await?.len() > 0 {
                        named = None;
                    }
                }
            }
        }
        let bytes = file.metadata().await?.len();
        Ok::<_, CopyError>((file, bytes))
    };
    let (file, bytes) = made.await.map_err(|error| match error {
        CopyError::Store(error @ StoreError::Lost { .. }) => ApiError::from(error),
        error => {
            tracing::error!(
                "cannot copy the database: {error}; free space in the temporary folder (TMPDIR)"
            );
            ApiError::no_copy()
        }
    })?;
    Ok(Copy {
        file,
        bytes,
        permit,
    })
}
