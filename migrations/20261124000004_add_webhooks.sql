-- Webhooks: how far each target has been told, and each attempt to tell it. A target's URL may be a
-- secret: it is in the settings only.

CREATE TABLE webhooks (
    name                 TEXT    NOT NULL PRIMARY KEY,
    -- 1 while the settings of the last `serve` name it.
    configured           INTEGER NOT NULL CHECK (configured IN (0, 1)),
    -- The last revision that it was told, or that it does not want; a new target is told what comes
    -- after it was configured.
    cursor               INTEGER NOT NULL,
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
    revision    INTEGER NOT NULL,
    at          TEXT    NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- given_up: after three days of failures this revision and older ones are not tried again.
    outcome     TEXT    NOT NULL CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    -- NULL where no answer came.
    http_status INTEGER,
    error       TEXT
) STRICT;

CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook, at);
