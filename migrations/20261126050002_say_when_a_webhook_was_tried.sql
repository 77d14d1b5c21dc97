-- When the last attempt at a webhook began. A wait whose attempt is in the future comes from a clock that was
-- set back, and does not count.
ALTER TABLE webhooks ADD COLUMN attempted_at TEXT;
