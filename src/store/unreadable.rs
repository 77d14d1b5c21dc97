//! Finds the row that cannot be read, for the error of a start.

use super::Store;
use crate::model::attributes::Attributes;

impl Store {
    /// Names the first row whose JSON or times are not as they are written; none when there is none,
    /// or when that cannot be told.
    pub(super) async fn find_unreadable(&self) -> Option<String> {
        // Unchecked queries: they are to run on whatever is in the file.
        let source = sqlx::query_scalar(
            "SELECT 'sources ' || name FROM sources
             WHERE NOT COALESCE(json_valid(skipped), 1) OR NOT COALESCE(json_valid(damped), 1)
                OR NOT COALESCE(json_valid(rules), 1)
                OR EXISTS (
                    SELECT 1 FROM json_each(json_array(
                        fetched_at, attempted_at, next_attempt_at, error_since, refused_since,
                        held_since, hidden_since
                    ))
                    WHERE value NOT GLOB '????-??-??T??:??:??.???Z'
                )
             LIMIT 1",
        );
        let source = source.fetch_optional(&self.pool).await.ok()?;
        if source.is_some() {
            return source;
        }
        let models: Vec<(String, String)> = sqlx::query_as(
            "SELECT 'cloud_models ' || provider || ':' || model_id, attributes FROM cloud_models
             UNION ALL
             SELECT 'local_models ' || endpoint || ' ' || model_id, attributes FROM local_models
             UNION ALL
             SELECT 'enrichment_models ' || provider || ':' || model_id, attributes
             FROM enrichment_models",
        )
        .fetch_all(&self.pool)
        .await
        .ok()?;
        let is_unreadable =
            |attributes: &str| serde_json::from_str::<Attributes>(attributes).is_err();
        let mut models = models.into_iter();
        models.find_map(|(row, attributes)| is_unreadable(&attributes).then_some(row))
    }
}
