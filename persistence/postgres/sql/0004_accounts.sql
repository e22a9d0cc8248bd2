-- Who may enter, and what administrators did. Game state and gold are not here.
--
-- Secrets are kept as hashes only. personal_data is the one table about persons; a name is in accounts
-- until it is erased, and nowhere else.

ALTER TABLE accounts
    DROP CONSTRAINT accounts_kind_check,
    ADD CONSTRAINT accounts_kind CHECK (kind IN ('guest', 'full', 'erased')),
    -- In byte order: lower() then knows ASCII only, so that no other letter becomes one of these.
    ADD COLUMN username text COLLATE "C" CHECK (username ~ '^[A-Za-z0-9_.-]{3,32}$'),
    ADD COLUMN role text NOT NULL DEFAULT 'STANDARD' CHECK (role IN ('STANDARD', 'PREMIUM', 'VIP', 'ADMIN')),
    ADD COLUMN role_changes integer NOT NULL DEFAULT 0,
    ADD COLUMN banned_at timestamptz,
    ADD COLUMN ban_reason text,
    -- Access tokens issued before it are void; whole seconds, as in the tokens.
    ADD COLUMN tokens_not_before timestamptz NOT NULL DEFAULT 'epoch',
    ADD CONSTRAINT accounts_full_have_names CHECK ((kind = 'full') = (username IS NOT NULL));
CREATE UNIQUE INDEX accounts_username ON accounts (lower(username));

CREATE TABLE credentials (
    user_id       text PRIMARY KEY REFERENCES accounts,
    password_hash text NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE personal_data (
    user_id    text PRIMARY KEY REFERENCES accounts,
    birth_date date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Refresh tokens -----------------------------------------------------------------------------

-- One sign-in: a token, its successor, and so on.
CREATE TABLE refresh_families (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id         text NOT NULL REFERENCES accounts,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- That of its newest token: after it the family can be forgotten.
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    revoked_because text,
    CHECK (num_nulls(revoked_at, revoked_because) IN (0, 2))
);
CREATE INDEX refresh_families_user ON refresh_families (user_id);
CREATE INDEX refresh_families_expiry ON refresh_families (expires_at);

CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    family_id  uuid NOT NULL REFERENCES refresh_families ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id, expires_at);

-- Signing in and up --------------------------------------------------------------------------

CREATE TABLE invite_codes (
    code_hash  bytea PRIMARY KEY CHECK (octet_length(code_hash) = 32),
    label      text NOT NULL,
    uses_max   integer NOT NULL CHECK (uses_max > 0),
    uses       integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    CHECK (uses BETWEEN 0 AND uses_max)
);

CREATE TABLE login_attempts (
    key         bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    window_ends timestamptz NOT NULL,
    attempts    integer NOT NULL
);
CREATE INDEX login_attempts_ended ON login_attempts (window_ends);

-- Revocations --------------------------------------------------------------------------------

CREATE TABLE revocations (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    text NOT NULL REFERENCES accounts,
    not_before timestamptz NOT NULL,
    because    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Void every access token of a user that was issued up to now. The caller has locked the account's row,
-- which whoever issues a token locks as well.
CREATE FUNCTION void_access_tokens(p_user text, p_because text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    valid_from timestamptz;
BEGIN
    -- Tokens count whole seconds: the one that has begun is void to its end. Of two changes in the same
    -- second the later one must also void what was issued in between.
    UPDATE accounts
    SET tokens_not_before = greatest(date_trunc('second', clock_timestamp()), tokens_not_before)
        + interval '1 second'
    WHERE user_id = p_user
    RETURNING tokens_not_before INTO valid_from;
    -- Held until the commit, so that ids become visible in their order and whoever reads the newest has
    -- missed none. Always the last lock of a transaction. The key is "revoke" in ASCII.
    PERFORM pg_advisory_xact_lock(x'7265766f6b65'::bigint);
    INSERT INTO revocations (user_id, not_before, because) VALUES (p_user, valid_from, p_because);
END
$$;

-- Audit log ----------------------------------------------------------------------------------

-- Outlives every erasure: no name and no birth date may get in. A command id is the administrator's, and
-- makes a repeat recognisable.
CREATE TABLE audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    admin      text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL DEFAULT '',
    details    jsonb NOT NULL DEFAULT '{}',
    reason     text NOT NULL DEFAULT '',
    command_id text,
    CONSTRAINT audit_log_command UNIQUE (admin, command_id)
);

-- SQLSTATE ZF004. For the tables' owner and for superusers, too, and in replication mode.
CREATE FUNCTION audit_log_stands() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'ZF004';
END
$$;
CREATE TRIGGER audit_log_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stands();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_stands;

-- Gold that administrators give or take leaves its row in the transaction of the turn that moves it. The
-- reason of such a transfer is 'by <administrator>: <why>'; any other form refuses the turn.
CREATE FUNCTION audit_admin_gold() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := regexp_match(NEW.reason, '^by ([^:]+): (.+)$');
    given CONSTANT boolean := NEW.debit = 'faucet:admin';
BEGIN
    IF parts IS NULL THEN
        RAISE EXCEPTION 'gold of administrators moves by somebody and for a reason'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_admin_reason';
    END IF;
    INSERT INTO audit_log (admin, action, target, details, reason)
    VALUES (
        parts[1],
        'adjust_gold',
        regexp_replace(CASE WHEN given THEN NEW.credit ELSE NEW.debit END, '^player:', ''),
        jsonb_build_object('amount', CASE WHEN given THEN NEW.amount ELSE -NEW.amount END, 'position', NEW.position),
        parts[2]
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_audits_admin_gold AFTER INSERT ON ledger
FOR EACH ROW WHEN (NEW.debit = 'faucet:admin' OR NEW.credit = 'faucet:admin')
EXECUTE FUNCTION audit_admin_gold();
ALTER TABLE ledger ENABLE ALWAYS TRIGGER ledger_audits_admin_gold;
