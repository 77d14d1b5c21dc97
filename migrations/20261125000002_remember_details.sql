-- What a source has told of its models beyond its list (Ollama's `/api/show`, LM Studio's own API),
-- so that it is not asked again after a restart. The models' attributes hold it too.

CREATE TABLE model_details (
    source     TEXT NOT NULL REFERENCES sources (name),
    model_id   TEXT NOT NULL,
    -- What it is true of (Ollama's digest of the model); empty where that is not told.
    version    TEXT NOT NULL,
    -- What was learnt: a JSON object, as in `attributes` of the model tables.
    attributes TEXT NOT NULL CHECK (json_valid(attributes)),
    PRIMARY KEY (source, model_id)
) STRICT, WITHOUT ROWID;
