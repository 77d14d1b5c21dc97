-- The catalog: who is asked, what they list now, what changed when, and how each attempt went.
-- Every time is text of one form, 2026-11-23T00:38:37.000Z (UTC), so that it compares as text.

-- One row per source that was ever configured, and the state of its polling. The schedule lives
-- here so that it survives restarts: a crash loop calls nobody.
CREATE TABLE sources (
    name                 TEXT    NOT NULL PRIMARY KEY,
    role                 TEXT    NOT NULL CHECK (role IN ('provider', 'endpoint')),
    -- The list API that it speaks; 'auto' until an endpoint has been recognised.
    kind                 TEXT    NOT NULL,
    -- 1 while the settings of the last `serve` name it.
    configured           INTEGER NOT NULL CHECK (configured IN (0, 1)),
    -- How long a listing is fresh.
    ttl_secs             INTEGER NOT NULL CHECK (ttl_secs > 0),
    -- Last success. Only a success moves it: it is the age of the models.
    fetched_at           TEXT,
    -- When the last attempt was claimed; together with the name it is the claim.
    attempted_at         TEXT,
    -- Not before then is it asked again (a manual refresh apart).
    next_attempt_at      TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    -- The last attempt's error, NULL after a success; since = first failure in a row.
    error_kind           TEXT,
    error_message        TEXT,
    error_since          TEXT,
    -- Refusals of the key (401, or Google's API_KEY_INVALID) since the last success.
    refusals             INTEGER NOT NULL DEFAULT 0,
    refused_since        TEXT,
    -- A strange answer that was not believed (suddenly nothing, or less than half): when the first
    -- came and how many models it had. Only a second one is believed.
    held_since           TEXT,
    held_models          INTEGER,
    -- A hidden source's models are kept and not served.
    hidden_since         TEXT,
    hidden_reason        TEXT CHECK (hidden_reason IN ('unconfigured', 'unreachable', 'refused')),
    CHECK ((hidden_since IS NULL) = (hidden_reason IS NULL)),
    CHECK ((held_since IS NULL) = (held_models IS NULL))
) STRICT;

-- The providers' models as listed now. What is served is `provider:model_id`.
CREATE TABLE cloud_models (
    provider          TEXT    NOT NULL REFERENCES sources (name),
    -- As the provider gave it (Google's without its leading `models/`).
    model_id          TEXT    NOT NULL,
    -- Unix seconds, 0 where the provider said nothing. Keeps its first value.
    created           INTEGER NOT NULL,
    owned_by          TEXT    NOT NULL GENERATED ALWAYS AS (provider) VIRTUAL,
    display_name      TEXT,
    -- Tokens; NULL where the provider said nothing.
    context_window    INTEGER,
    max_output_tokens INTEGER,
    -- When it was listed for the first time ever, gaps included.
    first_seen_at     TEXT    NOT NULL,
    -- Its provider's last success.
    fetched_at        TEXT    NOT NULL,
    -- The entry as the provider sent it, at the model's last event.
    raw               TEXT    NOT NULL,
    PRIMARY KEY (provider, model_id)
) STRICT;

-- The same for endpoints, served under their own id. When it was fetched stands in `sources`.
CREATE TABLE local_models (
    endpoint          TEXT    NOT NULL REFERENCES sources (name),
    model_id          TEXT    NOT NULL,
    created           INTEGER NOT NULL,
    owned_by          TEXT    NOT NULL GENERATED ALWAYS AS ('lb') VIRTUAL,
    display_name      TEXT,
    context_window    INTEGER,
    max_output_tokens INTEGER,
    first_seen_at     TEXT    NOT NULL,
    raw               TEXT    NOT NULL,
    PRIMARY KEY (endpoint, model_id)
) STRICT;

-- Append-only. A revision is one commit that changed what is served; the two tables above are the
-- projection of these rows.
CREATE TABLE model_events (
    revision   INTEGER NOT NULL CHECK (revision > 0),
    source     TEXT    NOT NULL REFERENCES sources (name),
    -- Empty for `hidden` and `shown`, which are about the whole source.
    model_id   TEXT    NOT NULL,
    at         TEXT    NOT NULL,
    event      TEXT    NOT NULL CHECK (
        event IN ('added', 'changed', 'removed', 'returned', 'hidden', 'shown')
    ),
    -- What clients read of the model after the event, a JSON object; NULL where it is gone.
    attributes TEXT,
    -- The names of the attributes that changed, a JSON array.
    changed    TEXT,
    PRIMARY KEY (revision, source, model_id),
    CHECK ((model_id = '') = (event IN ('hidden', 'shown'))),
    CHECK ((attributes IS NOT NULL) = (event IN ('added', 'changed', 'returned')))
) STRICT, WITHOUT ROWID;

-- One model's history; also how a model that returns is told from a new one.
CREATE INDEX model_events_by_model ON model_events (source, model_id, revision);

CREATE TRIGGER model_events_are_append_only BEFORE UPDATE ON model_events
BEGIN
    SELECT RAISE(ABORT, 'model_events is append-only');
END;

-- One row per attempt at a provider; for endpoints only where the outcome or the listing changed.
-- Bounded by age and by number.
CREATE TABLE fetches (
    id            INTEGER PRIMARY KEY,
    source        TEXT    NOT NULL REFERENCES sources (name),
    started_at    TEXT    NOT NULL,
    duration_ms   INTEGER NOT NULL,
    outcome       TEXT    NOT NULL CHECK (outcome IN ('unchanged', 'changed', 'held', 'failed')),
    -- NULL where no answer came.
    http_status   INTEGER,
    -- Whole pages read.
    pages         INTEGER NOT NULL,
    -- Models in the list and malformed entries left out; NULL where there was no list.
    models        INTEGER,
    skipped       INTEGER,
    added         INTEGER NOT NULL DEFAULT 0,
    changed       INTEGER NOT NULL DEFAULT 0,
    removed       INTEGER NOT NULL DEFAULT 0,
    returned      INTEGER NOT NULL DEFAULT 0,
    -- The revision that it made, if any.
    revision      INTEGER,
    error_kind    TEXT,
    error_message TEXT
) STRICT;

CREATE INDEX fetches_by_source ON fetches (source, started_at);
