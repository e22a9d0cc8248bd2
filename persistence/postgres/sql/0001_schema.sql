-- The truth: journal, ledger, balances, outbox, reminders, snapshots, and the cluster's memory.
-- Written once; later changes are later files.

CREATE TABLE accounts (
    user_id    text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('guest')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Cluster ------------------------------------------------------------------------------------

CREATE TABLE cluster (
    singleton             boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    map_epoch             bigint NOT NULL DEFAULT 0,
    session_shards        integer NOT NULL DEFAULT 64 CHECK (session_shards > 0),
    desired_session_hosts integer NOT NULL DEFAULT 1 CHECK (desired_session_hosts >= 0),
    desired_gateways      integer NOT NULL DEFAULT 1 CHECK (desired_gateways >= 0)
);
INSERT INTO cluster DEFAULT VALUES;

-- One life of one host process. Every commit locks its row FOR KEY SHARE, which a renewal of the
-- lease does not disturb and the lock that fencing takes (FOR UPDATE) has to wait for.
CREATE TABLE incarnations (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host          text NOT NULL,
    address       text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until   timestamptz NOT NULL,
    fenced_at     timestamptz
) WITH (fillfactor = 50);

CREATE TABLE shards (
    shard       text PRIMARY KEY,
    incarnation bigint NOT NULL REFERENCES incarnations,
    epoch       bigint NOT NULL
);

-- Journal ------------------------------------------------------------------------------------

-- One row per turn, and the outbox of the event relay. A position is taken before its commit, so a
-- lower one can become visible later: the relay reads by (transaction_id, position), and only below
-- the oldest transaction that is still running.
CREATE TABLE journal (
    position       bigint NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    actor          text NOT NULL,
    seq            bigint NOT NULL CHECK (seq > 0),
    command_id     text NOT NULL,
    fingerprint    bigint NOT NULL,
    incarnation    bigint NOT NULL,
    recorded_ms    bigint NOT NULL,
    push_seq       bigint NOT NULL,
    body           bytea NOT NULL,
    CONSTRAINT journal_actor_seq UNIQUE (actor, seq),
    CONSTRAINT journal_actor_command_id UNIQUE (actor, command_id)
);
CREATE SEQUENCE journal_position AS bigint OWNED BY journal.position;
CREATE INDEX journal_relay ON journal (transaction_id, position);
-- Bodies are MessagePack, small, and read back soon: not worth compressing.
ALTER TABLE journal ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE snapshots (
    actor          text PRIMARY KEY,
    seq            bigint NOT NULL,
    push_seq       bigint NOT NULL,
    schema_version integer NOT NULL,
    state          bytea NOT NULL,
    replies        bytea NOT NULL
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE snapshots ALTER COLUMN state SET STORAGE EXTERNAL, ALTER COLUMN replies SET STORAGE EXTERNAL;

-- Gold ---------------------------------------------------------------------------------------

-- A transfer belongs to a turn. It names it by its journal position, which grows, so that new keys
-- always go to the end of the index; (actor, seq), as text and all over the index, cost a quarter of
-- the throughput of large commits.
CREATE TABLE ledger (
    position bigint NOT NULL,
    index    integer NOT NULL,
    debit    text NOT NULL,
    credit   text NOT NULL,
    amount   bigint NOT NULL CHECK (amount > 0),
    reason   text NOT NULL,
    PRIMARY KEY (position, index),
    CHECK (debit <> credit)
);

-- Only of accounts that may never go below zero. A faucet's or a sink's balance is the sum of its
-- transfers: a row for it would be locked by every commit of every host.
CREATE TABLE balances (
    account text PRIMARY KEY,
    balance bigint NOT NULL CONSTRAINT balances_not_negative CHECK (balance >= 0)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- Sends and timers ---------------------------------------------------------------------------

CREATE TABLE outbox (
    -- In byte order, as the program compares: it reads the table in pages that begin behind an id.
    command_id text COLLATE "C" PRIMARY KEY,
    sender     text NOT NULL,
    recipient  text NOT NULL,
    name       text NOT NULL,
    data       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    refusal    text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_pending ON outbox (command_id) WHERE refusal IS NULL;

CREATE TABLE reminders (
    actor   text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    due_ms  bigint NOT NULL,
    command text NOT NULL,
    data    bytea NOT NULL,
    seq     bigint NOT NULL,
    PRIMARY KEY (actor, name)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX reminders_due ON reminders (due_ms, actor, name);
