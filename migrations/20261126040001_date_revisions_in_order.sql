-- A revision is dated by the commit that makes it, and after the revision before it, so that `?at=` of a
-- time that has passed always gives the same list.

CREATE TRIGGER model_events_are_in_order BEFORE INSERT ON model_events
WHEN EXISTS (
    SELECT 1 FROM (SELECT revision, at FROM model_events ORDER BY revision DESC LIMIT 1) AS last
    WHERE NEW.revision < last.revision
       OR (NEW.revision = last.revision AND NEW.at <> last.at)
       OR (NEW.revision > last.revision AND NEW.at <= last.at)
)
BEGIN
    SELECT RAISE(ABORT, 'model_events: a revision is not dated after the last one');
END;

-- A model is first seen at its first event. A rule may have hidden it before: then nobody saw it.
UPDATE cloud_models SET first_seen_at = COALESCE((
    SELECT at FROM model_events AS e
    WHERE e.source = cloud_models.provider AND e.model_id = cloud_models.model_id
    ORDER BY revision LIMIT 1
), first_seen_at);
UPDATE local_models SET first_seen_at = COALESCE((
    SELECT at FROM model_events AS e
    WHERE e.source = local_models.endpoint AND e.model_id = local_models.model_id
    ORDER BY revision LIMIT 1
), first_seen_at);
