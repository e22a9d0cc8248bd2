-- What administrators do, each with its audit row in the same transaction. The rules of 0004_sign_in.sql hold:
-- the account's row is locked first, refusals are returned.

-- What became of a command id before: NULL (it is new), 'repeated', or 'id_reused' for other content. The same id
-- at the same time waits here, after the account's row.
CREATE FUNCTION audited_before(
    p_admin text, p_action text, p_target text, p_request jsonb, p_reason text, p_command_id text
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_admin || ' ' || p_command_id, 0));
    RETURN (
        SELECT CASE
            WHEN action = p_action AND target = p_target AND reason = p_reason AND details @> p_request
            THEN 'repeated'
            ELSE 'id_reused'
        END
        FROM audit_log WHERE admin = p_admin AND command_id = p_command_id
    );
END
$$;

-- Returns 'done' or a refusal.
CREATE FUNCTION set_ban(p_user text, p_banned boolean, p_admin text, p_reason text, p_command_id text)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    action_name CONSTANT text := CASE WHEN p_banned THEN 'ban' ELSE 'unban' END;
    before text;
BEGIN
    PERFORM 1 FROM accounts WHERE user_id = p_user AND kind <> 'erased' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'account_unknown';
    END IF;
    before := audited_before(p_admin, action_name, p_user, '{}', p_reason, p_command_id);
    IF before IS NOT NULL THEN
        RETURN CASE before WHEN 'repeated' THEN 'done' ELSE before END;
    END IF;
    UPDATE accounts
    SET banned_at = CASE WHEN p_banned THEN coalesce(banned_at, clock_timestamp()) END,
        ban_reason = CASE WHEN p_banned THEN p_reason END
    WHERE user_id = p_user;
    INSERT INTO audit_log (admin, action, target, reason, command_id)
    VALUES (p_admin, action_name, p_user, p_reason, p_command_id);
    IF p_banned THEN
        PERFORM end_refresh_families(p_user, 'ban');
        PERFORM void_access_tokens(p_user, 'ban');
    END IF;
    RETURN 'done';
END
$$;

CREATE FUNCTION change_role(
    p_user text, p_role text, p_admin text, p_reason text, p_command_id text,
    OUT outcome text, OUT change integer
)
LANGUAGE plpgsql AS $$
DECLARE
    account accounts;
BEGIN
    SELECT * INTO account FROM accounts WHERE user_id = p_user AND kind <> 'erased' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'account_unknown';
        RETURN;
    END IF;
    outcome := audited_before(
        p_admin, 'change_role', p_user, jsonb_build_object('role', p_role), p_reason, p_command_id
    );
    IF outcome = 'repeated' THEN
        outcome := 'done';
        SELECT (details ->> 'change')::integer INTO change
        FROM audit_log WHERE admin = p_admin AND command_id = p_command_id;
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;
    outcome := 'done';
    change := account.role_changes + CASE WHEN account.role = p_role THEN 0 ELSE 1 END;
    INSERT INTO audit_log (admin, action, target, details, reason, command_id)
    VALUES (
        p_admin, 'change_role', p_user,
        jsonb_build_object('role', p_role, 'before', account.role, 'change', change),
        p_reason, p_command_id
    );
    IF change > account.role_changes THEN
        UPDATE accounts SET role = p_role, role_changes = change WHERE user_id = p_user;
        PERFORM void_access_tokens(p_user, 'role');
    END IF;
END
$$;

-- Returns 'done' or a refusal.
CREATE FUNCTION create_admin(
    p_user text, p_username text, p_password_hash text, p_admin text, p_command_id text
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before CONSTANT text := audited_before(p_admin, 'create_admin', p_user, '{}', '', p_command_id);
BEGIN
    IF before IS NOT NULL THEN
        RETURN CASE before WHEN 'repeated' THEN 'done' ELSE before END;
    ELSIF p_username !~ '^[A-Za-z0-9_.-]{3,32}$' THEN
        RETURN 'invalid_data';
    END IF;
    -- The first change of role: sessions take everybody for STANDARD until they are told otherwise.
    INSERT INTO accounts (user_id, kind, username, role, role_changes)
    VALUES (p_user, 'full', p_username, 'ADMIN', 1)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'username_taken';
    END IF;
    INSERT INTO credentials (user_id, password_hash) VALUES (p_user, p_password_hash);
    INSERT INTO audit_log (admin, action, target, command_id) VALUES (p_admin, 'create_admin', p_user, p_command_id);
    RETURN 'done';
END
$$;

-- Returns 'done' or a refusal.
CREATE FUNCTION create_invite(
    p_code bytea, p_uses_max integer, p_expires_at timestamptz, p_label text, p_admin text, p_command_id text
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    request CONSTANT jsonb := jsonb_build_object(
        'code_hash', encode(p_code, 'hex'), 'uses_max', p_uses_max, 'label', p_label,
        'expires_at', to_char(p_expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    );
    before CONSTANT text := audited_before(p_admin, 'create_invite', '', request, '', p_command_id);
BEGIN
    IF before IS NOT NULL THEN
        RETURN CASE before WHEN 'repeated' THEN 'done' ELSE before END;
    END IF;
    INSERT INTO audit_log (admin, action, details, command_id)
    VALUES (p_admin, 'create_invite', request, p_command_id);
    INSERT INTO invite_codes (code_hash, label, uses_max, expires_at, created_by)
    VALUES (p_code, p_label, p_uses_max, p_expires_at, p_admin);
    RETURN 'done';
END
$$;

-- By the person themselves. What the games have, they have under the user id alone, and keep. Returns 'done'
-- or a refusal.
CREATE FUNCTION erase_account(p_user text) RETURNS text
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
    DELETE FROM login_attempts WHERE key = sha256(convert_to(lower(account.username), 'UTF8'));
    DELETE FROM personal_data WHERE user_id = p_user;
    DELETE FROM credentials WHERE user_id = p_user;
    DELETE FROM refresh_families WHERE user_id = p_user;
    UPDATE accounts SET kind = 'erased', username = NULL, ban_reason = NULL WHERE user_id = p_user;
    INSERT INTO audit_log (admin, action, target) VALUES (p_user, 'erase_account', p_user);
    PERFORM void_access_tokens(p_user, 'erased');
    RETURN 'done';
END
$$;
