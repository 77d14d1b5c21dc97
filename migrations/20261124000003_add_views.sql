-- Views for whoever reads the database with SQL. Their names and columns stay; docs/sql.md has
-- questions that they answer.

-- What is listed now: a row per model of each source that is not hidden. A model that two endpoints
-- have is two rows; the service's list has each id once.
CREATE VIEW catalog_now AS
SELECT
    -- As clients see it: `provider:model_id`; of an endpoint's model its plain id.
    m.provider || ':' || m.model_id AS id,
    s.name AS source,
    s.role AS role,
    -- As the source gave it.
    m.model_id AS model_id,
    -- Unix seconds; 0 where the source said nothing.
    m.created AS created,
    m.owned_by AS owned_by,
    -- From here to `enriched` NULL where nobody said it.
    m.display_name AS display_name,
    m.description AS description,
    m.context_window AS context_window,
    m.max_output_tokens AS max_output_tokens,
    m.input_modalities AS input_modalities,
    m.output_modalities AS output_modalities,
    m.capabilities AS capabilities,
    m.supported_methods AS supported_methods,
    m.pricing AS pricing,
    m.knowledge_cutoff AS knowledge_cutoff,
    m.lifecycle AS lifecycle,
    m.deprecated_at AS deprecated_at,
    m.retires_at AS retires_at,
    m.alias_of AS alias_of,
    m.enriched AS enriched,
    -- When it was listed for the first time ever, gaps included.
    m.first_seen_at AS first_seen_at,
    -- Its source's last success.
    m.fetched_at AS fetched_at
-- Sources are few: they come first, and each one's models are found by its key.
FROM sources AS s CROSS JOIN cloud_models AS m ON m.provider = s.name
WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL
UNION ALL
SELECT
    m.model_id, s.name, s.role, m.model_id, m.created, m.owned_by,
    m.display_name, m.description, m.context_window, m.max_output_tokens, m.input_modalities,
    m.output_modalities, m.capabilities, m.supported_methods, m.pricing, m.knowledge_cutoff,
    m.lifecycle, m.deprecated_at, m.retires_at, m.alias_of, m.enriched,
    m.first_seen_at, s.fetched_at
FROM sources AS s CROSS JOIN local_models AS m ON m.endpoint = s.name
WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL;

-- What was listed when: a row per interval in which a source listed a model with the same
-- attributes. Hidden sources are not taken out: this is what they listed, not what was served. It is
-- whole from the revision `catalog.history_from` on.
CREATE VIEW catalog_history AS
SELECT
    -- `id` to `model_id` as in `catalog_now`.
    CASE s.role WHEN 'provider' THEN h.source || ':' || h.model_id ELSE h.model_id END AS id,
    h.source AS source,
    s.role AS role,
    h.model_id AS model_id,
    -- Inclusive: the time of the event that began the interval.
    h.at AS valid_from,
    -- Exclusive: the time of the model's next event; NULL while the interval lasts. (It is before
    -- `valid_from` where the clock had been set back: such an interval holds at no time.)
    h.next_at AS valid_to,
    -- The revision that began it.
    h.revision AS revision,
    -- What began it: added, changed or returned.
    h.event AS event,
    -- The attributes, as in `catalog_now`.
    h.attributes ->> 'created' AS created,
    h.attributes ->> 'display_name' AS display_name,
    h.attributes ->> 'description' AS description,
    h.attributes ->> 'context_window' AS context_window,
    h.attributes ->> 'max_output_tokens' AS max_output_tokens,
    h.attributes ->> 'input_modalities' AS input_modalities,
    h.attributes ->> 'output_modalities' AS output_modalities,
    h.attributes ->> 'capabilities' AS capabilities,
    h.attributes ->> 'supported_methods' AS supported_methods,
    h.attributes ->> 'pricing' AS pricing,
    h.attributes ->> 'knowledge_cutoff' AS knowledge_cutoff,
    h.attributes ->> 'lifecycle' AS lifecycle,
    h.attributes ->> 'deprecated_at' AS deprecated_at,
    h.attributes ->> 'retires_at' AS retires_at,
    h.attributes ->> 'alias_of' AS alias_of,
    h.attributes ->> 'enriched' AS enriched
FROM (
    -- In the order of model_events_by_model, which conditions on source and model_id search.
    SELECT
        source, model_id, at, revision, event, attributes,
        LEAD(at) OVER (PARTITION BY source, model_id ORDER BY revision) AS next_at
    FROM model_events
) AS h
JOIN sources AS s ON s.name = h.source
-- Neither removals nor the events of whole sources.
WHERE h.attributes IS NOT NULL;

-- How many models changed: a row per day (UTC) and source with any event of a model.
CREATE VIEW changes_by_day AS
SELECT
    -- 2026-11-23
    substr(at, 1, 10) AS day,
    source AS source,
    -- Listed for the first time ever.
    SUM(event = 'added') AS added,
    -- Listed with other attributes.
    SUM(event = 'changed') AS changed,
    -- No longer listed.
    SUM(event = 'removed') AS removed,
    -- Listed again.
    SUM(event = 'returned') AS returned
FROM model_events
WHERE model_id <> ''
GROUP BY day, source;

-- How each source is and was doing: a row per source that was ever configured.
CREATE VIEW source_health AS
SELECT
    -- As in `sources`, where each is explained, to `held_since`.
    s.name AS name,
    s.role AS role,
    s.kind AS kind,
    s.configured AS configured,
    s.fetched_at AS fetched_at,
    s.next_attempt_at AS next_attempt_at,
    s.consecutive_failures AS consecutive_failures,
    s.error_kind AS error_kind,
    s.error_message AS error_message,
    s.error_since AS error_since,
    s.hidden_since AS hidden_since,
    s.hidden_reason AS hidden_reason,
    s.held_since AS held_since,
    -- Listed now, those apart that a rule of the settings hides; of a hidden source those that are kept.
    CASE s.role
        WHEN 'provider' THEN (SELECT COUNT(*) FROM cloud_models WHERE provider = s.name AND hidden_by IS NULL)
        ELSE (SELECT COUNT(*) FROM local_models WHERE endpoint = s.name AND hidden_by IS NULL)
    END AS models,
    -- From here on over the rows of `fetches`: the last 90 days, and of endpoints only the attempts
    -- whose outcome or listing differed from the one before, since their routine is not recorded.
    COUNT(f.id) AS attempts,
    COUNT(f.id) FILTER (WHERE f.outcome = 'failed') AS failures,
    -- Of 100 attempts, how many brought an answer, believed or held; NULL without attempts.
    ROUND(100.0 * COUNT(f.id) FILTER (WHERE f.outcome <> 'failed') / COUNT(f.id), 1)
        AS success_percent,
    -- How long attempts took, failed ones included.
    CAST(ROUND(AVG(f.duration_ms)) AS INTEGER) AS average_ms,
    MAX(f.duration_ms) AS slowest_ms,
    MIN(f.started_at) AS first_attempt_at,
    MAX(f.started_at) AS last_attempt_at
FROM sources AS s
LEFT JOIN fetches AS f ON f.source = s.name
GROUP BY s.name;
