-- What a local server could set `context_window` to, where it says both.
ALTER TABLE cloud_models ADD COLUMN max_context_window INTEGER
    GENERATED ALWAYS AS (attributes ->> 'max_context_window') VIRTUAL;
ALTER TABLE local_models ADD COLUMN max_context_window INTEGER
    GENERATED ALWAYS AS (attributes ->> 'max_context_window') VIRTUAL;

-- As they were, with that column at the end.
DROP VIEW catalog_now;
CREATE VIEW catalog_now AS
SELECT
    -- As clients see it: `provider:model_id` for a cloud model; for a local model its own id, unless that
    -- reads as a cloud model's.
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
    m.fetched_at AS fetched_at,
    -- Tokens; NULL where nobody said it.
    m.max_context_window AS max_context_window
-- Sources are few: they come first, and each one's models are found by its key.
FROM sources AS s CROSS JOIN cloud_models AS m ON m.provider = s.name
WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL
UNION ALL
SELECT
    CASE
        -- Its id begins with the name of a provider, or with an endpoint's and then with such an id.
        WHEN EXISTS (
            WITH RECURSIVE parts (role, rest) AS (
                SELECT 'endpoint', m.model_id
                UNION ALL
                SELECT p.role, substr(rest, length(p.name) + 2)
                FROM parts CROSS JOIN sources AS p ON p.name = substr(rest, 1, instr(rest, ':') - 1)
                WHERE parts.role = 'endpoint'
            )
            SELECT 1 FROM parts WHERE role = 'provider'
        ) THEN s.name || ':' || m.model_id
        ELSE m.model_id
    END,
    s.name, s.role, m.model_id, m.created, m.owned_by,
    m.display_name, m.description, m.context_window, m.max_output_tokens, m.input_modalities,
    m.output_modalities, m.capabilities, m.supported_methods, m.pricing, m.knowledge_cutoff,
    m.lifecycle, m.deprecated_at, m.retires_at, m.alias_of, m.enriched,
    m.first_seen_at, s.fetched_at, m.max_context_window
FROM sources AS s CROSS JOIN local_models AS m ON m.endpoint = s.name
WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL;

DROP VIEW catalog_history;
CREATE VIEW catalog_history AS
SELECT
    -- `id` to `model_id` as in `catalog_now`: what it is called now.
    CASE
        WHEN s.role = 'provider' OR EXISTS (
            WITH RECURSIVE parts (role, rest) AS (
                SELECT 'endpoint', h.model_id
                UNION ALL
                SELECT p.role, substr(rest, length(p.name) + 2)
                FROM parts CROSS JOIN sources AS p ON p.name = substr(rest, 1, instr(rest, ':') - 1)
                WHERE parts.role = 'endpoint'
            )
            SELECT 1 FROM parts WHERE role = 'provider'
        ) THEN h.source || ':' || h.model_id
        ELSE h.model_id
    END AS id,
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
    h.attributes ->> 'enriched' AS enriched,
    h.attributes ->> 'max_context_window' AS max_context_window
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
