-- The cluster's memory: leases and fencing, and who owns which shard. All by this server's clock.
-- Functions, so that each change is one statement and no lock outlives a stopped client.

CREATE VIEW shard_map AS
SELECT c.map_epoch AS epoch, s.shard, s.incarnation, i.address
FROM cluster c
LEFT JOIN shards s ON true
LEFT JOIN incarnations i ON i.id = s.incarnation;

-- Waits for commits in flight, which hold the row FOR KEY SHARE; those that come later wait for this,
-- and then find the incarnation fenced.
CREATE FUNCTION fence_incarnation(p_incarnation bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM incarnations WHERE id = p_incarnation FOR UPDATE;
    UPDATE incarnations SET fenced_at = clock_timestamp() WHERE id = p_incarnation AND fenced_at IS NULL;
END
$$;

-- Returns the new map, or no row at all when the epoch has moved or a new owner may not write.
CREATE FUNCTION assign_shards(p_expected_epoch bigint, p_shards text[], p_incarnations bigint[])
RETURNS SETOF shard_map
LANGUAGE plpgsql AS $$
DECLARE
    new_owners bigint[] := ARRAY (SELECT DISTINCT o FROM unnest(p_incarnations) AS o WHERE o IS NOT NULL);
    writable integer;
BEGIN
    PERFORM 1 FROM cluster WHERE map_epoch = p_expected_epoch FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Locked, so that none of them is fenced before the map says that it owns the shard.
    SELECT count(*) INTO writable
    FROM (SELECT 1 FROM incarnations WHERE id = ANY (new_owners) AND fenced_at IS NULL FOR KEY SHARE) AS i;
    IF writable < cardinality(new_owners) THEN
        RETURN;
    END IF;
    UPDATE cluster SET map_epoch = map_epoch + 1;
    DELETE FROM shards s USING unnest(p_shards, p_incarnations) AS a (shard, incarnation)
    WHERE s.shard = a.shard AND a.incarnation IS NULL;
    INSERT INTO shards (shard, incarnation, epoch)
    SELECT a.shard, a.incarnation, p_expected_epoch + 1
    FROM unnest(p_shards, p_incarnations) AS a (shard, incarnation)
    WHERE a.incarnation IS NOT NULL
    ON CONFLICT (shard) DO UPDATE SET incarnation = excluded.incarnation, epoch = excluded.epoch;
    RETURN QUERY SELECT * FROM shard_map;
END
$$;
