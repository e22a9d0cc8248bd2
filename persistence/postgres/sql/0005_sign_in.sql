-- Refresh tokens whose reply was lost for longer, revocations that go, and erasure of every counter.

-- What is recent is found without reading the rest.
CREATE INDEX revocations_created ON revocations (created_at);

-- As in 0004, but for the grace: a token comes again within p_grace_s of its exchange, and for six times as
-- long while its successor was not used. Why that is safe is told in gateway/refresh_tokens.py.
CREATE OR REPLACE FUNCTION rotate_refresh_token(
    p_hash bytea, p_successor bytea, p_lifetime_s double precision, p_grace_s double precision
) RETURNS access_grant
LANGUAGE plpgsql AS $$
DECLARE
    owner text;
    account accounts;
    token refresh_tokens;
    successor refresh_tokens;
    family refresh_families;
    refusal access_grant;
    now_is timestamptz;
    expiry timestamptz;
    grace_s double precision;
BEGIN
    SELECT f.user_id INTO owner
    FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id WHERE t.hash = p_hash;
    SELECT * INTO account FROM accounts WHERE user_id = owner FOR NO KEY UPDATE;
    -- Only now: what was read before the lock is old.
    SELECT * INTO token FROM refresh_tokens WHERE hash = p_hash;
    SELECT * INTO successor FROM refresh_tokens t WHERE t.hash = p_successor AND t.family_id = token.family_id;
    SELECT * INTO family FROM refresh_families WHERE id = token.family_id;
    now_is := clock_timestamp();
    expiry := now_is + make_interval(secs => p_lifetime_s);
    grace_s := CASE
        WHEN successor.hash IS NOT NULL AND successor.rotated_at IS NULL THEN 6 * p_grace_s
        ELSE p_grace_s
    END;
    refusal.outcome := CASE
        WHEN family.id IS NULL THEN 'refresh_invalid'
        WHEN account.banned_at IS NOT NULL THEN 'banned'
        WHEN family.revoked_at IS NOT NULL THEN 'refresh_revoked'
        WHEN token.rotated_at + make_interval(secs => grace_s) <= now_is THEN 'refresh_reused'
        WHEN token.rotated_at IS NULL AND token.expires_at <= now_is THEN 'refresh_expired'
        -- Derived with another key than the one that was given at the time.
        WHEN token.rotated_at IS NOT NULL AND successor.hash IS NULL THEN 'refresh_invalid'
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

-- As in 0004, and the attempts at one's own password go, too.
CREATE OR REPLACE FUNCTION erase_account(p_user text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    account accounts;
BEGIN
    SELECT * INTO account FROM accounts WHERE user_id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'account_unknown';
    ELSIF account.kind = 'erased' THEN
        RETURN 'done';
    END IF;
    DELETE FROM login_attempts WHERE key IN (
        sha256(convert_to(lower(account.username), 'UTF8')),
        sha256(convert_to('password:' || lower(p_user), 'UTF8'))
    );
    DELETE FROM personal_data WHERE user_id = p_user;
    DELETE FROM credentials WHERE user_id = p_user;
    DELETE FROM refresh_families WHERE user_id = p_user;
    UPDATE accounts SET kind = 'erased', username = NULL, ban_reason = NULL WHERE user_id = p_user;
    INSERT INTO audit_log (admin, action, target) VALUES (p_user, 'erase_account', p_user);
    PERFORM void_access_tokens(p_user, 'erased');
    RETURN 'done';
END
$$;
