-- Failures are about the target that failed: another URL starts without them.

-- A hash of the target's URL, which may be a secret. NULL in rows of an older version that have not been
-- configured since.
ALTER TABLE webhooks ADD COLUMN address TEXT;
