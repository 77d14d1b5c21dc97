-- The revision from which a provider's name in front of an id means its own models only: a local
-- model with such an id is listed with its endpoint's name in front. 0 for the providers from before
-- this was kept.
ALTER TABLE sources ADD COLUMN known_from INTEGER NOT NULL DEFAULT 0;
