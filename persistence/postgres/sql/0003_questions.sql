-- commit_turns with one more column in the outbox: the sender's command that brings a question's answer
-- back. The function of revision 0001 stays beside it for hosts of the earlier release.
ALTER TABLE outbox ADD COLUMN then_command text NOT NULL DEFAULT '';

CREATE FUNCTION commit_turns(
    p_incarnation     bigint,
    -- turns
    p_actors          text[],
    p_seqs            bigint[],
    p_command_ids     text[],
    p_fingerprints    bigint[],
    p_recorded_ms     bigint[],
    p_push_seqs       bigint[],
    p_bodies          bytea[],
    -- transfers
    l_turns           integer[], -- which turn of the batch, from 1
    l_indexes         integer[],
    l_debits          text[],
    l_credits         text[],
    l_amounts         bigint[],
    l_reasons         text[],
    -- net change of each account with a floor, sorted by account
    b_accounts        text[],
    b_deltas          bigint[],
    -- snapshots, one per actor, sorted by actor
    s_actors          text[],
    s_seqs            bigint[],
    s_push_seqs       bigint[],
    s_schema_versions integer[],
    s_states          bytea[],
    s_replies         bytea[],
    -- outbox: new sends, and what became of old ones
    o_command_ids     text[],
    o_senders         text[],
    o_recipients      text[],
    o_names           text[],
    o_data            bytea[],
    o_then            text[],
    o_acknowledged    text[],
    o_refused         text[],
    o_refusals        text[],
    -- reminders after the last turn of the batch: set, or gone
    r_actors          text[],
    r_names           text[],
    r_due_ms          bigint[],
    r_commands        text[],
    r_data            bytea[],
    r_seqs            bigint[],
    r_cleared_actors  text[],
    r_cleared_names   text[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    positions bigint[];
    updated text[];
    emptied text[];
BEGIN
    PERFORM 1 FROM incarnations WHERE id = p_incarnation AND fenced_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'incarnation % is fenced', p_incarnation USING ERRCODE = 'ZF001';
    END IF;

    IF cardinality(p_actors) > 0 THEN
        positions := ARRAY (SELECT nextval('journal_position') FROM generate_series(1, cardinality(p_actors)));
        INSERT INTO journal
            (position, actor, seq, command_id, fingerprint, incarnation, recorded_ms, push_seq, body)
        SELECT position, actor, seq, command_id, fingerprint, p_incarnation, recorded_ms, push_seq, body
        FROM unnest(positions, p_actors, p_seqs, p_command_ids, p_fingerprints, p_recorded_ms, p_push_seqs, p_bodies)
            AS t (position, actor, seq, command_id, fingerprint, recorded_ms, push_seq, body);
    END IF;

    IF cardinality(l_turns) > 0 THEN
        INSERT INTO ledger (position, index, debit, credit, amount, reason)
        SELECT positions[turn], index, debit, credit, amount, reason
        FROM unnest(l_turns, l_indexes, l_debits, l_credits, l_amounts, l_reasons)
            AS t (turn, index, debit, credit, amount, reason);
    END IF;

    IF cardinality(b_accounts) > 0 THEN
        -- Accounts come sorted and are updated in that order, so that hosts that share accounts
        -- (an escrow) wait for each other instead of deadlocking.
        WITH changed AS (
            UPDATE balances b
            SET balance = b.balance + d.delta
            FROM unnest(b_accounts, b_deltas) AS d (account, delta)
            WHERE b.account = d.account
            RETURNING b.account, b.balance
        )
        SELECT array_agg(account), array_agg(account) FILTER (WHERE balance = 0 AND starts_with(account, 'escrow:'))
        INTO updated, emptied
        FROM changed;
        IF coalesce(cardinality(updated), 0) < cardinality(b_accounts) THEN
            -- What the update did not find, not what a second look does not find: another host may
            -- have created the account in between.
            INSERT INTO balances AS b (account, balance)
            SELECT d.account, d.delta
            FROM unnest(b_accounts, b_deltas) AS d (account, delta)
            WHERE NOT EXISTS (SELECT 1 FROM unnest(updated) AS u (account) WHERE u.account = d.account)
            ON CONFLICT (account) DO UPDATE SET balance = b.balance + excluded.balance;
        END IF;
        IF emptied IS NOT NULL THEN
            DELETE FROM balances WHERE account = ANY (emptied) AND balance = 0;
        END IF;
    END IF;

    IF cardinality(s_actors) > 0 THEN
        INSERT INTO snapshots AS s (actor, seq, push_seq, schema_version, state, replies)
        SELECT * FROM unnest(s_actors, s_seqs, s_push_seqs, s_schema_versions, s_states, s_replies)
        ON CONFLICT (actor) DO UPDATE
        SET seq = excluded.seq, push_seq = excluded.push_seq, schema_version = excluded.schema_version,
            state = excluded.state, replies = excluded.replies
        WHERE s.seq < excluded.seq;
    END IF;

    IF cardinality(o_command_ids) > 0 THEN
        INSERT INTO outbox (command_id, sender, recipient, name, data, then_command)
        SELECT * FROM unnest(o_command_ids, o_senders, o_recipients, o_names, o_data, o_then);
    END IF;
    IF cardinality(o_acknowledged) > 0 THEN
        DELETE FROM outbox WHERE command_id = ANY (o_acknowledged);
    END IF;
    IF cardinality(o_refused) > 0 THEN
        UPDATE outbox o SET refusal = r.reason
        FROM unnest(o_refused, o_refusals) AS r (command_id, reason)
        WHERE o.command_id = r.command_id;
    END IF;

    IF cardinality(r_cleared_actors) > 0 THEN
        DELETE FROM reminders r
        USING unnest(r_cleared_actors, r_cleared_names) AS gone (actor, name)
        WHERE r.actor = gone.actor AND r.name = gone.name;
    END IF;
    IF cardinality(r_actors) > 0 THEN
        INSERT INTO reminders (actor, name, due_ms, command, data, seq)
        SELECT * FROM unnest(r_actors, r_names, r_due_ms, r_commands, r_data, r_seqs)
        ON CONFLICT (actor, name) DO UPDATE
        SET due_ms = excluded.due_ms, command = excluded.command, data = excluded.data, seq = excluded.seq;
    END IF;
END
$$;
