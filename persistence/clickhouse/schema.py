"""The tables that questions about what happened are asked of, and how they came to be, version by version.

``event_log`` has one row per event, for a while perhaps two of the same: a repeated insert is merged away
later, by key. Nobody asks it directly. ``events`` and ``game_stats`` count each event once at any time.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

TABLE = "event_log"
RETENTION_DAYS = 400
TS_MS_MAX = 2**32 * 1000 - 1
"""The latest time of an event, in 2106: hours are counted in 32 bits of seconds."""

# - An event's key begins with its hour, so that a question about a time reads that time's rows only; then
#   comes the player, so that one's own are found among millions. Both are settled by (actor, seq), and so
#   change nothing about what is the same event. Small granules: a player's hour is a few rows.
# - A partition is a day: the unit of retention, and of what an operator repairs. An event's key has its time,
#   so the same event never lies in two of them.
# - A client chooses `action_type`: there may be any number of them.
# - What was acknowledged must survive the machine: the relay does not come back to it.
_EVENT_LOG = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    ts          DateTime64(3, 'UTC') CODEC(Delta, LZ4),
    event_type  LowCardinality(String),
    action_type String,
    user_id     String,
    actor       String,
    seq         UInt64 CODEC(Delta, LZ4),
    `index`     UInt32,
    command_id  String,
    game        LowCardinality(String),
    stake       Int64,
    payout      Int64,
    wins        UInt8,
    losses      UInt8,
    data        String CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(ts)
ORDER BY (toStartOfHour(ts), user_id, actor, seq, `index`)
TTL {{ttl}}
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
"""

_EVENTS = f"""
CREATE VIEW IF NOT EXISTS events AS
SELECT ts, event_type, action_type, user_id, actor, seq, `index`, command_id,
    game, stake, payout, wins, losses, data, inserted_at
FROM {TABLE} FINAL
"""  # noqa: S608

# The date is that of the hour, which is the same and is what the key begins with.
_GAME_STATS = f"""
CREATE VIEW IF NOT EXISTS game_stats AS
SELECT toDate(toStartOfHour(ts)) AS date, user_id, game AS game_type, count() AS plays, sum(wins) AS wins,
    sum(losses) AS losses, sum(stake) AS wagered, sum(payout) AS won
FROM {TABLE} FINAL
WHERE game != ''
GROUP BY date, user_id, game_type
"""  # noqa: S608

# Until when the table was compared with the journal. Here, so that it is lost with the table.
_COMPARISONS = """
CREATE TABLE IF NOT EXISTS comparisons (until_ms Int64, ended_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = MergeTree ORDER BY until_ms TTL toDateTime(ended_at) + toIntervalDay(30)
"""

VERSIONS = ((_EVENT_LOG, _EVENTS, _GAME_STATS), (_COMPARISONS,))
"""What each version adds to the one before. Every statement may be run again."""


class SchemaTooNew(RuntimeError):
    """A later release was here before."""


def ensure_schema(client: Client, retention_days: int = RETENTION_DAYS) -> None:
    """Bring the client's database to the latest version, and its retention to ``retention_days``.
    Idempotent, whatever was interrupted before. Events older than that go with the next merges.

    Raises :class:`SchemaTooNew`, and what the client raises.
    """
    ttl = f"toDateTime(ts) + toIntervalDay({int(retention_days)})"
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, applied_at DateTime DEFAULT now())"
        " ENGINE = MergeTree ORDER BY version"
    )
    version = client.query("SELECT max(version) FROM schema_versions").result_rows[0][0]
    if not client.query(f"EXISTS TABLE {TABLE}").result_rows[0][0]:
        # Somebody has dropped it, to have it filled anew.
        client.command("DROP TABLE IF EXISTS comparisons")
        version = 0
    if version > len(VERSIONS):
        raise SchemaTooNew(f"the schema is of version {version}, known here is {len(VERSIONS)}")
    for number, statements in enumerate(VERSIONS[version:], start=version + 1):
        for statement in statements:
            client.command(statement.replace("{ttl}", ttl))
        client.command("INSERT INTO schema_versions (version) VALUES", data=f"({number})")
    engine = client.query(
        f"SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{TABLE}'"  # noqa: S608
    ).result_rows[0][0]
    if ttl not in engine:
        client.command(f"ALTER TABLE {TABLE} MODIFY TTL {ttl}")
