-- The entries of a source's last listing that could not be used: {"count": 6, "examples": [{"what": "…",
-- "why": "…"}]} with up to five examples. NULL when there are none.
ALTER TABLE sources ADD COLUMN skipped TEXT;
