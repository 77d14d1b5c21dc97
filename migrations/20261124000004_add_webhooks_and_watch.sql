-- Watched models: what is wrong with each, and each time that this changed.

CREATE TABLE watched_models (
    -- The whole id.
    model    TEXT NOT NULL PRIMARY KEY,
    -- What is wrong: a JSON array of {"kind", "message"}.
    problems TEXT NOT NULL,
    -- Since when that is so.
    since    TEXT NOT NULL
) STRICT;

-- Kept for 90 days.
CREATE TABLE watch_alerts (
    alert    INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    -- As in `watched_models`; empty when it is fine again.
    problems TEXT    NOT NULL
) STRICT;

-- Webhooks: how far each target has been told, and each attempt to tell it. A target's URL may be a
-- secret: it is in the settings only.

CREATE TABLE webhooks (
    name                 TEXT    NOT NULL PRIMARY KEY,
    -- 1 while the settings of the last `serve` name it.
    configured           INTEGER NOT NULL CHECK (configured IN (0, 1)),
    -- The last revision that it was told, or that it does not want; a new target is told what comes
    -- after it was configured.
    cursor               INTEGER NOT NULL,
    -- The same of `watch_alerts`.
    alert_cursor         INTEGER NOT NULL,
    -- Not before then is it tried again; NULL when it may be at once.
    next_attempt_at      TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    -- The first failure in a row.
    failing_since        TEXT,
    -- It answered 410: nothing more is sent until the service starts again.
    gone_at              TEXT
) STRICT;

-- One row per attempt. Kept for 90 days.
CREATE TABLE webhook_deliveries (
    id          INTEGER PRIMARY KEY,
    webhook     TEXT    NOT NULL REFERENCES webhooks (name),
    -- What it was told of: a revision or an alert.
    revision    INTEGER,
    alert       INTEGER,
    at          TEXT    NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- given_up: after three days of failures this and what is older is not tried again.
    outcome     TEXT    NOT NULL CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    -- NULL where no answer came.
    http_status INTEGER,
    error       TEXT,
    CHECK ((revision IS NULL) <> (alert IS NULL))
) STRICT;

CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook, at);
