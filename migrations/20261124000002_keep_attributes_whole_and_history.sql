-- What clients read of a model is kept as one JSON object, and every field of it is a column too.
-- Retirements are among them.

CREATE TABLE new_cloud_models (
    provider          TEXT    NOT NULL REFERENCES sources (name),
    -- As the provider gave it (Google's without its leading `models/`).
    model_id          TEXT    NOT NULL,
    -- A JSON object with the fields that the next columns show, up to `enriched`.
    attributes        TEXT    NOT NULL,
    -- Unix seconds, 0 where the provider said nothing. Keeps its first value.
    created           INTEGER NOT NULL GENERATED ALWAYS AS (attributes ->> 'created') VIRTUAL,
    owned_by          TEXT    NOT NULL GENERATED ALWAYS AS (provider) VIRTUAL,
    -- From here on NULL where nobody said it.
    display_name      TEXT    GENERATED ALWAYS AS (attributes ->> 'display_name') VIRTUAL,
    description       TEXT    GENERATED ALWAYS AS (attributes ->> 'description') VIRTUAL,
    -- Tokens.
    context_window    INTEGER GENERATED ALWAYS AS (attributes ->> 'context_window') VIRTUAL,
    max_output_tokens INTEGER GENERATED ALWAYS AS (attributes ->> 'max_output_tokens') VIRTUAL,
    -- JSON arrays, the source's own words: text, image, …
    input_modalities  TEXT    GENERATED ALWAYS AS (attributes ->> 'input_modalities') VIRTUAL,
    output_modalities TEXT    GENERATED ALWAYS AS (attributes ->> 'output_modalities') VIRTUAL,
    -- JSON arrays, the source's own words: vision, tools, … and the methods that it can be called with.
    capabilities      TEXT    GENERATED ALWAYS AS (attributes ->> 'capabilities') VIRTUAL,
    supported_methods TEXT    GENERATED ALWAYS AS (attributes ->> 'supported_methods') VIRTUAL,
    -- A JSON object, as the source gives it: units differ.
    pricing           TEXT    GENERATED ALWAYS AS (attributes ->> 'pricing') VIRTUAL,
    -- A date or month, as the source writes it.
    knowledge_cutoff  TEXT    GENERATED ALWAYS AS (attributes ->> 'knowledge_cutoff') VIRTUAL,
    -- The stage of the model's life in the source's own word: active, deprecated, retired, …
    lifecycle         TEXT    GENERATED ALWAYS AS (attributes ->> 'lifecycle') VIRTUAL,
    -- Since when it is, or will be, deprecated.
    deprecated_at     TEXT    GENERATED ALWAYS AS (attributes ->> 'deprecated_at') VIRTUAL,
    -- When it is to be shut down; of a day without a time its first moment in UTC. A date that has
    -- passed does not mean that the model is gone.
    retires_at        TEXT    GENERATED ALWAYS AS (attributes ->> 'retires_at') VIRTUAL,
    -- The model_id of the model that this is another name of, by the settings.
    alias_of          TEXT    GENERATED ALWAYS AS (attributes ->> 'alias_of') VIRTUAL,
    -- Which of the fields above are not the source's own word: a JSON object, field to enrichment.
    enriched          TEXT    GENERATED ALWAYS AS (attributes ->> 'enriched') VIRTUAL,
    -- The rule of the settings that keeps it from being served; NULL where it is served. Such a
    -- model has no events from then on.
    hidden_by         TEXT,
    -- When it was listed for the first time ever, gaps included.
    first_seen_at     TEXT    NOT NULL,
    -- Its provider's last success.
    fetched_at        TEXT    NOT NULL,
    -- The entry as the provider sent it, at the model's last event.
    raw               TEXT    NOT NULL,
    PRIMARY KEY (provider, model_id)
) STRICT;

-- The same for endpoints, served under their own id. When it was fetched stands in `sources`.
CREATE TABLE new_local_models (
    endpoint          TEXT    NOT NULL REFERENCES sources (name),
    model_id          TEXT    NOT NULL,
    attributes        TEXT    NOT NULL,
    created           INTEGER NOT NULL GENERATED ALWAYS AS (attributes ->> 'created') VIRTUAL,
    owned_by          TEXT    NOT NULL GENERATED ALWAYS AS ('lb') VIRTUAL,
    display_name      TEXT    GENERATED ALWAYS AS (attributes ->> 'display_name') VIRTUAL,
    description       TEXT    GENERATED ALWAYS AS (attributes ->> 'description') VIRTUAL,
    context_window    INTEGER GENERATED ALWAYS AS (attributes ->> 'context_window') VIRTUAL,
    max_output_tokens INTEGER GENERATED ALWAYS AS (attributes ->> 'max_output_tokens') VIRTUAL,
    input_modalities  TEXT    GENERATED ALWAYS AS (attributes ->> 'input_modalities') VIRTUAL,
    output_modalities TEXT    GENERATED ALWAYS AS (attributes ->> 'output_modalities') VIRTUAL,
    capabilities      TEXT    GENERATED ALWAYS AS (attributes ->> 'capabilities') VIRTUAL,
    supported_methods TEXT    GENERATED ALWAYS AS (attributes ->> 'supported_methods') VIRTUAL,
    pricing           TEXT    GENERATED ALWAYS AS (attributes ->> 'pricing') VIRTUAL,
    knowledge_cutoff  TEXT    GENERATED ALWAYS AS (attributes ->> 'knowledge_cutoff') VIRTUAL,
    lifecycle         TEXT    GENERATED ALWAYS AS (attributes ->> 'lifecycle') VIRTUAL,
    deprecated_at     TEXT    GENERATED ALWAYS AS (attributes ->> 'deprecated_at') VIRTUAL,
    retires_at        TEXT    GENERATED ALWAYS AS (attributes ->> 'retires_at') VIRTUAL,
    alias_of          TEXT    GENERATED ALWAYS AS (attributes ->> 'alias_of') VIRTUAL,
    enriched          TEXT    GENERATED ALWAYS AS (attributes ->> 'enriched') VIRTUAL,
    hidden_by         TEXT,
    first_seen_at     TEXT    NOT NULL,
    raw               TEXT    NOT NULL,
    PRIMARY KEY (endpoint, model_id)
) STRICT;

-- A patch leaves out what is NULL.
INSERT INTO new_cloud_models (provider, model_id, attributes, first_seen_at, fetched_at, raw)
SELECT provider, model_id, json_patch('{}', json_object(
           'created', created, 'display_name', display_name,
           'context_window', context_window, 'max_output_tokens', max_output_tokens
       )), first_seen_at, fetched_at, raw
FROM cloud_models;
INSERT INTO new_local_models (endpoint, model_id, attributes, first_seen_at, raw)
SELECT endpoint, model_id, json_patch('{}', json_object(
           'created', created, 'display_name', display_name,
           'context_window', context_window, 'max_output_tokens', max_output_tokens
       )), first_seen_at, raw
FROM local_models;
DROP TABLE cloud_models;
DROP TABLE local_models;
ALTER TABLE new_cloud_models RENAME TO cloud_models;
ALTER TABLE new_local_models RENAME TO local_models;

-- Of `removed`: the source's last listing that had the model. NULL in events of an older version.
ALTER TABLE model_events ADD COLUMN last_seen_at TEXT;

-- The last event of each model up to a revision is found in the index alone, and most of those that
-- are gone need no look at the table.
DROP INDEX model_events_by_model;
CREATE INDEX model_events_by_model ON model_events (source, model_id, revision, event);

-- From a time to the revision that was served then.
CREATE INDEX model_events_by_time ON model_events (at);

-- What there is one of.
CREATE TABLE catalog (
    -- Tells this database from every other: a feed's id.
    id                TEXT    NOT NULL,
    -- The first revision that can still be served as it was; events before it may have been pruned.
    history_from      INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO catalog (id) VALUES (lower(hex(randomblob(16))));
