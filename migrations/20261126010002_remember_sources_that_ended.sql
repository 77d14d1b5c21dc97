-- A provider that has ended is hidden, as `gone`, and asked once a day.

-- What the failures since the last other answer say: `gone` (its list answers 410) or `no_host` (its
-- host name does not exist), and since when. NULL while they say nothing of the kind.
ALTER TABLE sources ADD COLUMN end_sign TEXT CHECK (end_sign IN ('gone', 'no_host'));
ALTER TABLE sources ADD COLUMN end_sign_since TEXT;
-- 1 where it is hidden because it has ended; `hidden_reason` is then 'unreachable', since it could not
-- be extended.
ALTER TABLE sources ADD COLUMN gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1));

-- Of `hidden`: why, one of unconfigured, unreachable, refused and gone. NULL in events of an older
-- version.
ALTER TABLE model_events ADD COLUMN reason TEXT;

-- As it was, but for `hidden_reason`.
DROP VIEW source_health;
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
    -- unconfigured, unreachable, refused or gone.
    IIF(s.gone, 'gone', s.hidden_reason) AS hidden_reason,
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
