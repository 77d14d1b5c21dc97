-- The models of a source that go back and forth between fetches, whose changes wait until an hour after
-- their last one: {"count": 100, "examples": ["…"], "until": "…"} with up to five ids. NULL when none wait.
ALTER TABLE sources ADD COLUMN damped TEXT;
