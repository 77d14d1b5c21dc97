//! The models, listed and one by one, in the caller's dialect: all of them, or one source's own
//! (`bases`). The merged list in OpenAI's dialect is a pointer read and an ETag compared: no SQL, no
//! provider, no serialising; only what was is read from the database (`past`).

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use self::view::View;
use super::{
    error::ApiError,
    page_request::Part,
    request::{Asked, ids},
    response::written,
};
use crate::{
    catalog::Catalog,
    snapshot::{
        dialect::Dialect,
        view::{Place, Seen},
    },
};

pub mod past;
pub mod provider;
pub mod view;

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
