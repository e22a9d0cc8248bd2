-- Which server numbered the transactions of a place: another one numbers them anew. Empty: whichever it is.
ALTER TABLE relay_places ADD COLUMN system_identifier text;

-- A body that is too short to be one has no events, instead of failing whoever counts them.
CREATE OR REPLACE FUNCTION count_events(body bytea) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN length(body) < 6 THEN
        CASE WHEN length(body) >= 2 AND get_byte(body, 1) BETWEEN 144 AND 159 THEN get_byte(body, 1) - 144 ELSE 0 END
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) BETWEEN 144 AND 159
        THEN get_byte(substring(body FROM 1 FOR 6), 1) - 144
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) = 220
        THEN (get_byte(substring(body FROM 1 FOR 6), 2) << 8) + get_byte(substring(body FROM 1 FOR 6), 3)
    WHEN get_byte(substring(body FROM 1 FOR 6), 1) = 221
        THEN (get_byte(substring(body FROM 1 FOR 6), 2)::bigint << 24)
            + (get_byte(substring(body FROM 1 FOR 6), 3) << 16)
            + (get_byte(substring(body FROM 1 FOR 6), 4) << 8)
            + get_byte(substring(body FROM 1 FOR 6), 5)
    ELSE 0
END;
