//! `model_details`: the results of detail requests per model, kept so that no request is repeated.

use serde_json::json;
use sqlx::SqliteConnection;

use super::error::Result;
use crate::model::listing::Details;

/// Reads the stored details of a source's models.
pub(super) async fn read_details(
    connection: &mut SqliteConnection,
    source: &str,
) -> Result<Details> {
    let json = sqlx::query_scalar!(
        r#"SELECT json_group_object(
                      model_id,
                      json_object('version', version, 'attributes', json(attributes))
                  ) AS "json!: String"
           FROM model_details WHERE source = ?1"#,
        source,
    )
    .fetch_one(connection)
    .await?;
    Ok(serde_json::from_str(&json)?)
}

/// Deletes the stored details of `source`.
pub(super) async fn forget_details(connection: &mut SqliteConnection, source: &str) -> Result<()> {
    sqlx::query!("DELETE FROM model_details WHERE source = ?1", source)
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces the stored details of `source` with `details`.
pub(super) async fn write_details(
    connection: &mut SqliteConnection,
    source: &str,
    details: &Details,
) -> Result<()> {
    // Usually nothing changed, and then nothing is written.
    let stored = read_details(connection, source).await?;
    if stored == *details {
        return Ok(());
    }
    forget_details(connection, source).await?;
    let rows: Vec<_> = details
        .iter()
        .map(|(id, detail)| {
            json!({"id": id, "version": detail.version, "attributes": detail.attributes})
        })
        .collect();
    let rows = serde_json::to_string(&rows)?;
    sqlx::query!(
        "INSERT INTO model_details (source, model_id, version, attributes)
         SELECT ?1, value ->> 'id', value ->> 'version', value -> 'attributes'
         FROM json_each(?2)",
        source,
        rows,
    )
    .execute(connection)
    .await?;
    Ok(())
}
