"""The audit's questions, as SQL. Those with ``$1`` list violations, at most that many."""

from __future__ import annotations

_DERIVED = """
derived AS (
    SELECT account, sum(gold)::numeric AS gold
    FROM (
        SELECT credit AS account, sum(amount) AS gold FROM ledger GROUP BY credit
        UNION ALL
        SELECT debit, -sum(amount) FROM ledger GROUP BY debit
    ) AS sides
    GROUP BY account
),
compared AS (
    SELECT
        account,
        coalesce(d.gold, 0) AS gold,
        b.balance AS stored,
        account ^@ 'player:' OR account ^@ 'escrow:' AS has_floor
    FROM derived d FULL JOIN balances b USING (account)
)
"""
_MISMATCH = "CASE WHEN has_floor THEN gold <> coalesce(stored, 0) ELSE stored IS NOT NULL END"
_NEGATIVE = "has_floor AND (gold < 0 OR stored < 0)"

GOLD = f"""
WITH {_DERIVED}
SELECT
    split_part(account, ':', 1) AS class,
    has_floor,
    count(*) AS accounts,
    sum(gold) AS gold,
    coalesce(sum(stored), 0) AS stored,
    count(*) FILTER (WHERE {_MISMATCH}) AS mismatches,
    count(*) FILTER (WHERE {_NEGATIVE}) AS negative
FROM compared
GROUP BY 1, 2
ORDER BY 1
"""  # noqa: S608

GOLD_MISMATCHES = f"""
WITH {_DERIVED}
SELECT account, stored, gold AS by_transfers FROM compared WHERE {_MISMATCH} ORDER BY account LIMIT $1
"""  # noqa: S608

NEGATIVE = f"""
WITH {_DERIVED}
SELECT account, stored, gold AS by_transfers FROM compared WHERE {_NEGATIVE} ORDER BY account LIMIT $1
"""  # noqa: S608

COUNTS = """
SELECT
    (SELECT count(*) FROM journal) AS turns,
    (SELECT count(*) FROM ledger) AS transfers,
    (SELECT count(*) FROM outbox WHERE refusal IS NULL) AS sends_pending,
    (SELECT count(*) FROM outbox WHERE refusal IS NOT NULL) AS sends_refused
"""

ESCROWS = "SELECT account, balance FROM balances WHERE account ^@ 'escrow:' AND balance > 0"
ENDED = """
SELECT actor, command_id
FROM journal
WHERE (actor, command_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""
PENDING_SENDS = "SELECT data FROM outbox WHERE refusal IS NULL"
REMINDERS = "SELECT data FROM reminders"

GAPS = """
SELECT j.actor, min(j.seq) AS first, max(j.seq) AS last, count(*) AS turns
FROM journal j
GROUP BY j.actor
HAVING min(j.seq) <> 1 OR max(j.seq) <> count(*)
LIMIT $1
"""

DUPLICATE_COMMANDS = """
SELECT actor, command_id, count(*) AS times
FROM journal
GROUP BY actor, command_id
HAVING count(*) > 1
LIMIT $1
"""

ORPHANED_TRANSFERS = """
SELECT l.position, l.index, l.debit, l.credit, l.amount
FROM ledger l
WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.position = l.position)
LIMIT $1
"""

SNAPSHOTS_AHEAD = """
SELECT s.actor, s.seq AS snapshot, j.last AS journal
FROM snapshots s
LEFT JOIN (SELECT actor, max(seq) AS last FROM journal GROUP BY actor) AS j USING (actor)
WHERE s.seq > coalesce(j.last, 0)
LIMIT $1
"""

REFUSED_SENDS = """
SELECT command_id, sender, recipient, name, refusal
FROM outbox
WHERE refusal IS NOT NULL
ORDER BY command_id
LIMIT $1
"""
