-- Sign-up, passwords, refresh tokens and login attempts. Functions, so that each change is one statement
-- and no lock outlives a stopped client.
--
-- Whatever concerns an existing account locks its row first (FOR NO KEY UPDATE): changes of one account
-- come one after another, and nothing deadlocks. Refusals are returned as their wire codes, and not raised,
-- so that they can change something (a reused token) and leave nothing in the server's log.

-- Takes one use of the invite and makes the account, or turns a guest into it. Returns 'done' or a refusal.
CREATE FUNCTION sign_up(
    p_user          text,
    p_username      text,
    p_password_hash text,
    p_birth_date    date,
    p_invite        bytea,
    p_from_guest    boolean
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    invite invite_codes;
    guest accounts;
    violated text;
BEGIN
    IF p_username !~ '^[A-Za-z0-9_.-]{3,32}$' THEN
        RETURN 'invalid_data';
    END IF;
    -- Held to the end: those who use the same invite at once come one by one. With it, repeats wait for
    -- the original.
    SELECT * INTO invite FROM invite_codes WHERE code_hash = p_invite FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'invite_invalid';
    END IF;
    IF EXISTS (
        SELECT 1 FROM credentials JOIN accounts USING (user_id)
        WHERE user_id = p_user AND password_hash = p_password_hash AND username = p_username
    ) THEN
        RETURN 'done';
    END IF;
    IF invite.uses >= invite.uses_max OR invite.revoked_at IS NOT NULL OR invite.expires_at <= clock_timestamp() THEN
        RETURN 'invite_invalid';
    END IF;

    IF p_from_guest THEN
        SELECT * INTO guest FROM accounts WHERE user_id = p_user FOR NO KEY UPDATE;
        IF guest.kind IS DISTINCT FROM 'guest' THEN
            RETURN 'not_a_guest';
        ELSIF guest.banned_at IS NOT NULL THEN
            RETURN 'banned';
        END IF;
    END IF;
    BEGIN
        IF p_from_guest THEN
            UPDATE accounts SET kind = 'full', username = p_username WHERE user_id = p_user;
            -- Whoever else has held the guest's tokens must not hold the account.
            PERFORM end_refresh_families(p_user, 'sign_up');
            PERFORM void_access_tokens(p_user, 'sign_up');
        ELSE
            INSERT INTO accounts (user_id, kind, username) VALUES (p_user, 'full', p_username);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
        RETURN CASE violated WHEN 'accounts_username' THEN 'username_taken' ELSE 'not_a_guest' END;
    END;
    INSERT INTO credentials (user_id, password_hash) VALUES (p_user, p_password_hash);
    INSERT INTO personal_data (user_id, birth_date) VALUES (p_user, p_birth_date);
    UPDATE invite_codes SET uses = uses + 1 WHERE code_hash = p_invite;
    RETURN 'done';
END
$$;

CREATE FUNCTION end_refresh_families(p_user text, p_because text) RETURNS void
LANGUAGE sql AS $$
    UPDATE refresh_families SET revoked_at = clock_timestamp(), revoked_because = p_because
    WHERE user_id = p_user AND revoked_at IS NULL;
$$;

-- Returns 'done' or a refusal.
CREATE FUNCTION change_password(p_user text, p_old_hash text, p_new_hash text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    current_hash text;
BEGIN
    PERFORM 1 FROM accounts WHERE user_id = p_user FOR NO KEY UPDATE;
    SELECT password_hash INTO current_hash FROM credentials WHERE user_id = p_user;
    IF current_hash = p_new_hash THEN
        RETURN 'done';
    ELSIF current_hash IS DISTINCT FROM p_old_hash THEN
        RETURN 'password_changed';
    END IF;
    UPDATE credentials SET password_hash = p_new_hash, changed_at = clock_timestamp() WHERE user_id = p_user;
    PERFORM end_refresh_families(p_user, 'password');
    INSERT INTO audit_log (admin, action, target) VALUES (p_user, 'change_password', p_user);
    PERFORM void_access_tokens(p_user, 'password');
    RETURN 'done';
END
$$;

-- Refresh tokens -----------------------------------------------------------------------------

-- The account as it was when a token was granted; of a refusal only the outcome.
CREATE TYPE access_grant AS (
    outcome      text,
    issued_at    timestamptz,
    user_id      text,
    kind         text,
    username     text,
    role         text,
    role_changes integer,
    banned_at    timestamptz,
    ban_reason   text,
    created_at   timestamptz
);

CREATE FUNCTION granted(a accounts) RETURNS access_grant
LANGUAGE sql VOLATILE AS $$
    SELECT 'granted', greatest(date_trunc('second', clock_timestamp()), a.tokens_not_before), a.user_id,
        a.kind, a.username, a.role, a.role_changes, a.banned_at, a.ban_reason, a.created_at;
$$;

CREATE FUNCTION open_refresh_family(p_user text, p_hash bytea, p_lifetime_s double precision)
RETURNS access_grant
LANGUAGE plpgsql AS $$
DECLARE
    account accounts;
    refusal access_grant;
    expiry timestamptz;
    family uuid;
BEGIN
    SELECT * INTO account FROM accounts WHERE user_id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND OR account.kind = 'erased' THEN
        refusal.outcome := 'account_unknown';
        RETURN refusal;
    ELSIF account.banned_at IS NOT NULL THEN
        refusal.outcome := 'banned';
        RETURN refusal;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE hash = p_hash) THEN
        expiry := clock_timestamp() + make_interval(secs => p_lifetime_s);
        INSERT INTO refresh_families (user_id, expires_at) VALUES (p_user, expiry) RETURNING id INTO family;
        INSERT INTO refresh_tokens (hash, family_id, expires_at) VALUES (p_hash, family, expiry);
        -- Each new family takes two old ones with it, so that they never pile up.
        DELETE FROM refresh_families WHERE id IN (
            SELECT id FROM refresh_families WHERE expires_at < clock_timestamp()
            ORDER BY expires_at LIMIT 2 FOR UPDATE SKIP LOCKED
        );
    END IF;
    RETURN granted(account);
END
$$;

CREATE FUNCTION rotate_refresh_token(
    p_hash bytea, p_successor bytea, p_lifetime_s double precision, p_grace_s double precision
) RETURNS access_grant
LANGUAGE plpgsql AS $$
DECLARE
    owner text;
    account accounts;
    token refresh_tokens;
    family refresh_families;
    refusal access_grant;
    now_is timestamptz;
    expiry timestamptz;
BEGIN
    SELECT f.user_id INTO owner
    FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id WHERE t.hash = p_hash;
    SELECT * INTO account FROM accounts WHERE user_id = owner FOR NO KEY UPDATE;
    -- Only now: what was read before the lock is old.
    SELECT * INTO token FROM refresh_tokens WHERE hash = p_hash;
    SELECT * INTO family FROM refresh_families WHERE id = token.family_id;
    now_is := clock_timestamp();
    expiry := now_is + make_interval(secs => p_lifetime_s);
    refusal.outcome := CASE
        WHEN family.id IS NULL THEN 'refresh_invalid'
        WHEN account.banned_at IS NOT NULL THEN 'banned'
        WHEN family.revoked_at IS NOT NULL THEN 'refresh_revoked'
        WHEN token.rotated_at + make_interval(secs => p_grace_s) <= now_is THEN 'refresh_reused'
        WHEN token.rotated_at IS NULL AND token.expires_at <= now_is THEN 'refresh_expired'
        -- Derived with another key than the one that was given at the time.
        WHEN token.rotated_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM refresh_tokens t WHERE t.hash = p_successor AND t.family_id = token.family_id
        ) THEN 'refresh_invalid'
    END;
    IF refusal.outcome = 'refresh_reused' THEN
        UPDATE refresh_families SET revoked_at = now_is, revoked_because = 'refresh_reused' WHERE id = family.id;
        PERFORM void_access_tokens(owner, 'refresh_reused');
    END IF;
    IF refusal.outcome IS NOT NULL THEN
        RETURN refusal;
    END IF;
    IF token.rotated_at IS NULL THEN
        UPDATE refresh_tokens SET rotated_at = now_is WHERE hash = p_hash;
        INSERT INTO refresh_tokens (hash, family_id, expires_at) VALUES (p_successor, family.id, expiry);
        UPDATE refresh_families SET expires_at = expiry WHERE id = family.id;
        DELETE FROM refresh_tokens t WHERE t.family_id = family.id AND t.expires_at <= now_is;
    END IF;
    RETURN granted(account);
END
$$;

CREATE FUNCTION end_refresh_family_of(p_hash bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    family refresh_families;
BEGIN
    SELECT f.* INTO family
    FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id WHERE t.hash = p_hash;
    PERFORM 1 FROM accounts WHERE user_id = family.user_id FOR NO KEY UPDATE;
    UPDATE refresh_families SET revoked_at = clock_timestamp(), revoked_because = 'logout'
    WHERE id = family.id AND revoked_at IS NULL;
END
$$;

CREATE FUNCTION log_out_everywhere(p_user text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE user_id = p_user FOR NO KEY UPDATE;
    IF FOUND THEN
        PERFORM end_refresh_families(p_user, 'logout');
        PERFORM void_access_tokens(p_user, 'logout');
    END IF;
END
$$;

-- Login attempts -----------------------------------------------------------------------------

-- Counts one. NULL: it is among the first of its window; else the seconds until the window ends.
CREATE FUNCTION count_login_attempt(p_key bytea, p_attempts_max integer, p_window_s double precision)
RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    length CONSTANT interval := make_interval(secs => p_window_s);
    attempt login_attempts;
BEGIN
    INSERT INTO login_attempts AS a (key, window_ends, attempts) VALUES (p_key, clock_timestamp() + length, 1)
    ON CONFLICT (key) DO UPDATE
    -- excluded.window_ends - length: one and the same now for both.
    SET attempts = CASE
            WHEN a.window_ends <= excluded.window_ends - length THEN 1
            ELSE least(a.attempts + 1, 1000000)
        END,
        window_ends = CASE
            WHEN a.window_ends <= excluded.window_ends - length THEN excluded.window_ends
            ELSE a.window_ends
        END
    RETURNING * INTO attempt;
    -- Each attempt takes two old windows with it: invented names never pile up. Waits for nobody.
    DELETE FROM login_attempts WHERE key IN (
        SELECT key FROM login_attempts WHERE window_ends < clock_timestamp()
        ORDER BY window_ends LIMIT 2 FOR UPDATE SKIP LOCKED
    );
    IF attempt.attempts <= p_attempts_max THEN
        RETURN NULL;
    END IF;
    RETURN greatest(extract(epoch FROM attempt.window_ends - clock_timestamp()), 0.001);
END
$$;
