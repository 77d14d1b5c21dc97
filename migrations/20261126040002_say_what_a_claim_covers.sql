-- A result is stored only under the settings that it was fetched with, and the settings in force are those
-- of the last process that started and still runs.

-- Grows with each claim and whenever another address or kind is configured. A result counts only while
-- this is still the number of its claim.
ALTER TABLE sources ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
-- While a fetch is under way: when others may take it for lost. NULL when none is.
ALTER TABLE sources ADD COLUMN claimed_until TEXT;
-- The kind in the settings; `kind` is the one that was recognised where the settings say 'auto'. NULL in
-- rows of an older version that have not been configured since.
ALTER TABLE sources ADD COLUMN configured_kind TEXT;

-- The processes that serve from this database, or did until lately: a row each.
CREATE TABLE processes (
    -- Numbered in the order in which they started.
    process INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Grows while the process runs beside others. No times: clocks jump, and machines sleep.
    beat    INTEGER NOT NULL DEFAULT 0
) STRICT;
-- The process whose settings are in force.
ALTER TABLE catalog ADD COLUMN process INTEGER NOT NULL DEFAULT 0;
