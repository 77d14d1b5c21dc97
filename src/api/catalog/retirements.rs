//! `GET /catalog/retirements`: the listed models with an announced retirement or deprecation.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        auth::Caller,
        costly::costly,
        error::ApiError,
        query::{Parameters, duration},
        response::no_store,
    },
    catalog::Catalog,
    snapshot::retiring::Retiring,
};

/// Parameters of `GET /catalog/retirements`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetirementsParameters {
    within: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Retirements)]
struct RetirementsAnswer<'a> {
    revision: i64,
    models: Vec<&'a Retiring>,
}

/// The listed models with an announced end, soonest first.
///
/// `within=` drops those with a later date; models without a date stay.
#[utoipa::path(
    get,
    path = "/catalog/retirements",
    tag = "catalog",
    operation_id = "listRetirements",
    params(("within" = Option<String>, Query, description = "A duration, such as `90d`", pattern = "^$|^[1-9][0-9]{0,3}(s|m|h|d)$")),
    responses((status = 200, description = "The models", body = RetirementsAnswer))
)]
pub async fn retirements(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(RetirementsParameters { within }): Parameters<RetirementsParameters>,
) -> Result<Response, ApiError> {
    let within = duration("within", "invalid_parameter", within.as_deref(), "90d")?;
    let until = within.map(|within| catalog.now().plus(within));
    let current = catalog.current();
    let made = async move {
        let snapshot = caller.sees(&current.snapshot)?;
        let soon = |model: &&Retiring| match (model.retires_at, until) {
            (Some(at), Some(until)) => at <= until,
            _ => true,
        };
        Ok(no_store(RetirementsAnswer {
            revision: snapshot.revision,
            models: snapshot.retiring.iter().filter(soon).collect(),
        }))
    };
    costly(&catalog, made).await
}
