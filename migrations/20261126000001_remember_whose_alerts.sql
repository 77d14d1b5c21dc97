-- An alert is about the model of one or several sources: a webhook that is limited to some of them gets
-- it by their names, which the id alone does not tell.

-- The sources that listed the model or, where none did, those that may have it: a JSON array of names.
-- NULL in alerts of an older version.
ALTER TABLE watch_alerts ADD COLUMN sources TEXT;
