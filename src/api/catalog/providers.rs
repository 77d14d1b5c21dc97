//! `GET /catalog/providers`: every preset, the variables that switch it on, and whether it is on.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{NoParameters, Parameters},
        response::no_store,
    },
    catalog::Catalog,
    config::PresetStatus,
};

#[derive(Serialize, ToSchema)]
#[schema(as = Presets)]
struct ProvidersAnswer<'a> {
    providers: Vec<&'a PresetStatus>,
}

/// The presets: providers that only need a key, and which of them are on.
///
/// No value of a variable is among their fields.
#[utoipa::path(
    get,
    path = "/catalog/providers",
    tag = "catalog",
    operation_id = "listProviders",
    responses((status = 200, description = "The presets that the caller may see", body = ProvidersAnswer))
)]
pub async fn providers(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let scope = caller.scope();
    let in_force = catalog.in_force();
    let presets = in_force.presets.iter();
    Ok(no_store(ProvidersAnswer {
        providers: presets
            .filter(|preset| scope.allows_source(preset.name))
            .collect(),
    }))
}
