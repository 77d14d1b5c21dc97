-- What the settings of the last `serve` make of the source's listing: which models are not served,
-- and the aliases; a JSON object with `include`, `exclude` and `aliases`. NULL where there is no rule.
ALTER TABLE sources ADD COLUMN rules TEXT;
