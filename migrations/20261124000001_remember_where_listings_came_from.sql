-- A source whose base URL was changed is asked at once, and its first listing is not measured
-- against that of the old address.

-- Where the settings say that the source is asked: a hash of its base URL, since a URL may hold a
-- secret. NULL in rows of an older version that have not been configured since.
ALTER TABLE sources ADD COLUMN address TEXT;
-- The address that gave the stored listing.
ALTER TABLE sources ADD COLUMN listed_address TEXT;
