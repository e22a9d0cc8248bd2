-- Where the rounds of Crash come from. Nothing here tells anybody a crash point: of each chain, the
-- terminating hash is public, and everything else is masked with a key that is not in the database.

CREATE TABLE crash_chains (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name          text COLLATE "C" NOT NULL CHECK (table_name ~ '^[a-z][a-z0-9-]{0,31}$'),
    -- The chain is for the rounds first_round … first_round + length - 1.
    first_round         bigint NOT NULL CHECK (first_round >= 1),
    length              bigint NOT NULL CHECK (length >= 1),
    checkpoint_interval bigint NOT NULL CHECK (checkpoint_interval >= 1),
    terminating_hash    bytea NOT NULL CHECK (octet_length(terminating_hash) = 32),
    -- Keyed with the house's key, over this row's fixed part and the checkpoints.
    seal                bytea NOT NULL CHECK (octet_length(seal) = 32),
    salt                text CHECK (salt ~ '^([0-9a-f]{2}){16,64}$'),
    salt_source         text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    published_at        timestamptz,
    UNIQUE (table_name, first_round),
    -- The masks depend on it: no two chains may share one.
    UNIQUE (terminating_hash),
    CHECK (num_nulls(salt, salt_source, published_at) IN (0, 3))
);

CREATE TABLE crash_chain_checkpoints (
    chain_id bigint NOT NULL REFERENCES crash_chains,
    index    bigint NOT NULL CHECK (index >= 0),
    masked   bytea NOT NULL CHECK (octet_length(masked) = 32),
    PRIMARY KEY (chain_id, index)
);

-- The chains of a table follow one another without a gap. SQLSTATE ZF002: this one does not.
CREATE FUNCTION crash_chain_follows() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    next_round bigint;
BEGIN
    -- Of two at the same time, who see the same last chain, UNIQUE (table_name, first_round) takes one.
    SELECT coalesce(max(first_round + length), 1) INTO next_round
    FROM crash_chains WHERE table_name = NEW.table_name;
    IF NEW.first_round <> next_round THEN
        RAISE EXCEPTION 'the next chain of table % begins with round %, and not with round %',
            NEW.table_name, next_round, NEW.first_round USING ERRCODE = 'ZF002';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER crash_chains_follow BEFORE INSERT ON crash_chains
FOR EACH ROW EXECUTE FUNCTION crash_chain_follows();

-- Players were told: a chain stays as it is, but for its salt, which is set once. SQLSTATE ZF003.
CREATE FUNCTION crash_chain_stands() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    may_change CONSTANT text[] := ARRAY ['salt', 'salt_source', 'published_at'];
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.salt IS NULL AND to_jsonb(NEW) - may_change = to_jsonb(OLD) - may_change THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'chain % of table % is fixed', OLD.id, OLD.table_name USING ERRCODE = 'ZF003';
END
$$;
CREATE TRIGGER crash_chains_stand BEFORE UPDATE OR DELETE ON crash_chains
FOR EACH ROW EXECUTE FUNCTION crash_chain_stands();
