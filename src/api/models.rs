//! The models, listed and one by one, in the caller's dialect: all of them, or one source's own
//! (`bases`). The merged list in OpenAI's dialect is a pointer read and an ETag compared: no SQL, no
//! provider, no serialising; only what was is read from the database (`past`).

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use percent_encoding::percent_decode_str;

use super::{
    asked::{Asked, Part},
    error::ApiError,
    view::View,
};
use crate::{
    Catalog,
    dialect::{Dialect, Place, Seen},
    snapshot::Body,
};

/// The merged list, as it is or as it was.
pub async fn list(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let part = Part::of(uri.query(), dialect)?;
    let view = View::of_list(catalog, &uri, &headers).await?;
    if dialect == Dialect::OpenAi && part.is_whole() {
        return Ok(view.answer(&view.list()?, &headers));
    }
    let snapshot = &view.snapshot;
    let models = snapshot.models.iter().map(Seen::merged);
    let models: Vec<Seen> = models.filter(|model| part.has(model)).collect();
    let page = part.page(&models, |id| Place::of(id, snapshot));
    Ok(view.answer(&written(dialect.list(&page, view.fields()))?, &headers))
}

/// One model of the merged list.
pub async fn retrieve(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let [raw, decoded] = &ids(Asked::of(&uri, &headers).id);
    let ids = [raw.as_ref(), decoded.as_ref()];
    let view = View::of_model(catalog, &uri, &headers, &ids).await?;
    let snapshot = &view.snapshot;
    let find = |id: &&str| match dialect {
        Dialect::OpenAi => snapshot.find_model(id).map(Ok),
        _ => Some(written(dialect.model(&Seen::merged(snapshot.find(id)?)))),
    };
    let body = ids
        .iter()
        .find_map(find)
        .ok_or_else(|| ApiError::no_model(decoded))??;
    Ok(view.answer(&body, &headers))
}

fn dialect(uri: &Uri, headers: &HeaderMap) -> Dialect {
    Asked::of(uri, headers).dialect.unwrap_or(Dialect::OpenAi)
}

/// The ids that `raw` may mean. Clients send ids raw and percent-encoded, so what came is looked up
/// as it is and then decoded: an id that itself holds `%25` is found either way.
pub fn ids(raw: Option<&str>) -> [Cow<'_, str>; 2] {
    let raw = raw.unwrap_or_default();
    let decoded = percent_decode_str(raw).decode_utf8();
    [Cow::Borrowed(raw), decoded.unwrap_or(Cow::Borrowed(raw))]
}

/// What was written, with its ETag.
pub fn written(written: serde_json::Result<Vec<u8>>) -> Result<Body, ApiError> {
    let bytes = written.map_err(|error| ApiError::unwritable(&error))?;
    Ok(Body::of(bytes.into()))
}
