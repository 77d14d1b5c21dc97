-- Retirements: what a source says of a model's end. Each is NULL where it says nothing.

-- The stage of the model's life in the source's own word: active, deprecated, retired, …
ALTER TABLE cloud_models ADD COLUMN lifecycle TEXT;
-- Since when it is, or will be, deprecated.
ALTER TABLE cloud_models ADD COLUMN deprecated_at TEXT;
-- When it is to be shut down; of a day without a time its first moment in UTC. A date that has passed
-- does not mean that the model is gone.
ALTER TABLE cloud_models ADD COLUMN retires_at TEXT;
ALTER TABLE local_models ADD COLUMN lifecycle TEXT;
ALTER TABLE local_models ADD COLUMN deprecated_at TEXT;
ALTER TABLE local_models ADD COLUMN retires_at TEXT;

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
