-- Metadata from elsewhere than the sources: a file that describes many providers' models. It fills in
-- what a source does not say, is marked as such (`enriched`), and overrides nothing.

-- The file that the settings name, and the state of its polling; one row or none. The columns are as
-- in `sources`.
CREATE TABLE enrichment (
    -- What fields that came from it are marked with.
    name                 TEXT    NOT NULL PRIMARY KEY,
    -- A hash of its URL.
    address              TEXT    NOT NULL,
    ttl_secs             INTEGER NOT NULL,
    fetched_at           TEXT,
    attempted_at         TEXT,
    next_attempt_at      TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    error_kind           TEXT,
    error_message        TEXT,
    error_since          TEXT
) STRICT;

-- What it says, at its last success.
CREATE TABLE enrichment_models (
    -- The provider's name and the model's id there, as ours are.
    provider   TEXT NOT NULL,
    model_id   TEXT NOT NULL,
    -- As in `cloud_models`.
    attributes TEXT NOT NULL,
    PRIMARY KEY (provider, model_id)
) STRICT, WITHOUT ROWID;
