-- What it takes to count the journal's events of an hour without reading the whole journal.

-- Rows are appended as time passes, so a range of blocks is a range of time: an index of kilobytes, which
-- costs a commit next to nothing.
CREATE INDEX journal_recorded_ms ON journal USING brin (recorded_ms)
    WITH (pages_per_range = 32, autosummarize = on);

-- A body is a MessagePack array of four, the first of which is the array of events. Its header says how many;
-- of a long body only the first bytes are fetched.
CREATE FUNCTION count_events(body bytea) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) BETWEEN 144 AND 159
        THEN get_byte(substring(body FROM 1 FOR 6), 1) - 144
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) = 220
        THEN (get_byte(substring(body FROM 1 FOR 6), 2) << 8) + get_byte(substring(body FROM 1 FOR 6), 3)
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) = 221
        THEN (get_byte(substring(body FROM 1 FOR 6), 2)::bigint << 24)
            + (get_byte(substring(body FROM 1 FOR 6), 3) << 16)
            + (get_byte(substring(body FROM 1 FOR 6), 4) << 8)
            + get_byte(substring(body FROM 1 FOR 6), 5)
END;
