-- The version that the server itself reports (Ollama's `/api/version`), at its last listing. NULL
-- where it reports none.
ALTER TABLE sources ADD COLUMN server_version TEXT;
