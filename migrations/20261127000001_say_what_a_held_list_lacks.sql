-- What a held listing lacks of the stored models that are served: {"count": 33, "examples": ["…"]} with up
-- to a hundred ids. NULL where none is held, and in rows of an older version.
ALTER TABLE sources ADD COLUMN held_missing TEXT;
