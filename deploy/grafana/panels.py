"""The dashboards' contents: which questions an operator asks of the metrics, and in which unit.

Owns titles and expressions only. How they become Grafana's JSON is ``deploy.grafana.dashboards``'.
"""

from __future__ import annotations

from typing import NamedTuple

_RATE = "[1m]"


class Query(NamedTuple):
    expression: str
    legend: str


class Panel(NamedTuple):
    title: str
    unit: str
    """As Grafana calls it."""
    queries: tuple[Query, ...]
    description: str = ""


class Dashboard(NamedTuple):
    uid: str
    title: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str = "", legend: str = "", where: str = "") -> Query:
    grouping = f" by ({by})" if by else ""
    return Query(
        f"sum{grouping} (rate({metric}{where}{_RATE}))", legend or (f"{{{{{by}}}}}" if by else metric)
    )


def _quantiles(metric: str, *quantiles: float) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({quantile}, sum by (le) (rate({metric}_bucket{_RATE})))",
            f"p{quantile * 100:g}",
        )
        for quantile in quantiles or (0.5, 0.95, 0.99)
    )


def _of_hosts(metric: str) -> tuple[Query, ...]:
    return (Query(f"max by (process) (ray_casino_host_{metric})", "{{process}}"),)


PLAYERS = Dashboard(
    "casino-players",
    "Casino: players and gateways",
    (
        Panel("Connections", "short", (Query("sum by (process) (ws_active_connections)", "{{process}}"),)),
        Panel(
            "Event lag",
            "ms",
            _quantiles("realtime_event_lag_ms"),
            "From a turn to its events' encoding for sockets. Aim: p95 below 50 ms, never above 500.",
        ),
        Panel(
            "Events to sockets",
            "ops",
            (
                _rate("ws_events_sent_total", legend="of sessions"),
                _rate("ws_topic_events_sent_total", legend="of tables"),
            ),
        ),
        Panel("Commands", "ops", (_rate("casino_commands_total", "command"),)),
        Panel("Command latency", "s", _quantiles("casino_command_duration_seconds")),
        Panel(
            "Commands refused, by reason",
            "ops",
            (_rate("casino_commands_total", "outcome", where='{outcome!="ok"}'),),
        ),
        Panel(
            "Logins",
            "ops",
            (
                _rate("auth_login_success_total", legend="right password"),
                _rate("auth_login_failed_total", legend="wrong name or password"),
                _rate("auth_login_locked_total", legend="locked"),
            ),
        ),
        Panel(
            "Login failures",
            "percentunit",
            (
                Query(
                    "sum (rate(auth_login_failed_total[5m])) / (sum (rate(auth_login_failed_total[5m]))"
                    " + sum (rate(auth_login_success_total[5m])) > 0)",
                    "of all logins",
                ),
            ),
            "Share of logins with a wrong name or password, over 5 minutes. Empty while nobody logs in.",
        ),
        Panel("Access tokens refused", "ops", (_rate("auth_tokens_refused_total", "code"),)),
        Panel("REST requests", "reqps", (_rate("http_requests_total", "route"),)),
        Panel(
            "REST latency, p95",
            "s",
            (
                Query(
                    f"histogram_quantile(0.95, sum by (le, route)"
                    f" (rate(http_request_duration_seconds_bucket{_RATE})))",
                    "{{route}}",
                ),
            ),
            "To the head of the answer. Aim: reads 20 ms, writes 40 ms; never above 250 and 400.",
        ),
        Panel("REST answers, by kind of status", "reqps", (_rate("http_requests_total", "status"),)),
        Panel("REST errors, by code", "reqps", (_rate("http_problems_total", "code"),)),
        Panel("Over a rate limit", "ops", (_rate("rate_limited_total", "door"),)),
        Panel("Errors on sockets, by code", "ops", (_rate("ws_errors_total", "code"),)),
        Panel("Sockets closed by us, by code", "ops", (_rate("ws_closes_total", "code"),)),
        Panel(
            "Sockets opened",
            "ops",
            (
                _rate("ws_connections_opened_total", legend="opened"),
                _rate("ws_handshakes_refused_total", legend="refused"),
                _rate("ws_reattaches_total", legend="fetched missed events"),
            ),
        ),
        Panel(
            "Gateways' memory",
            "bytes",
            (Query('process_resident_memory_bytes{job="cc-webapp-backend"}', "{{process}}"),),
        ),
        Panel(
            "Gateways' CPU",
            "percentunit",
            (Query(f'rate(process_cpu_seconds_total{{job="cc-webapp-backend"}}{_RATE})', "{{process}}"),),
        ),
    ),
)

HOSTS = Dashboard(
    "casino-hosts",
    "Casino: hosts and journal",
    (
        Panel("Turns made durable", "ops", (_rate("ray_casino_host_turns_total", "process"),)),
        Panel("Journal commit latency", "s", _quantiles("ray_casino_host_commit_seconds")),
        Panel("Commits", "ops", (_rate("ray_casino_host_commits_total", "process"),)),
        Panel("Turns in a commit", "short", _quantiles("ray_casino_host_commit_turns", 0.5, 0.95)),
        Panel("Activations", "short", _of_hosts("activations"), "Sessions and tables in memory."),
        Panel(
            "Waiting in mailboxes",
            "short",
            _of_hosts("mailbox_messages"),
            "Commands for actors that are being loaded.",
        ),
        Panel("Waiting for a commit", "short", _of_hosts("pending_turns"), "Turns decided, not yet durable."),
        Panel("Outbox", "short", _of_hosts("outbox_queued"), "Durable sends on their way, of each host."),
        Panel("Shards", "short", _of_hosts("shards")),
        Panel(
            "Lease left",
            "s",
            (Query("min by (process) (ray_casino_host_lease_remaining_seconds)", "{{process}}"),),
            "A host whose lease runs out says nothing more, and is replaced.",
        ),
        Panel("Event loop late by", "s", _of_hosts("loop_lag_seconds"), "The most within each second."),
        Panel(
            "Lives of hosts",
            "short",
            _of_hosts("incarnation"),
            "A step is a new life. Numbers are handed out over all hosts.",
        ),
        Panel(
            "Turns taken back",
            "ops",
            (
                _rate("ray_casino_host_rollbacks_total", legend="rolled back"),
                _rate("ray_casino_host_refused_turns_total", legend="refused by the journal"),
                _rate("ray_casino_host_unknown_commits_total", legend="commits of unknown outcome"),
            ),
        ),
        Panel(
            "Machine",
            "percent",
            (
                Query("ray_node_cpu_utilization", "CPU of {{ip}}"),
                Query("100 * ray_node_mem_used / ray_node_mem_total", "memory of {{ip}}"),
            ),
        ),
    ),
)

EVENTS = Dashboard(
    "casino-events",
    "Casino: events out",
    (
        Panel(
            "Relay lag",
            "s",
            (
                Query("max (ray_casino_relay_lag_seconds)", "behind the journal"),
                Query("max (ray_casino_relay_held_up_seconds)", "age of the oldest open transaction"),
            ),
            "What is committed after a transaction began is relayed after it has ended.",
        ),
        Panel(
            "Relayed",
            "ops",
            (
                _rate("ray_casino_relay_turns_total", legend="turns"),
                _rate("ray_casino_relay_events_total", legend="events"),
            ),
        ),
        Panel("Relay failures", "ops", (_rate("ray_casino_relay_failures_total", legend="attempts"),)),
        Panel(
            "Kafka consumer lag",
            "short",
            (Query("max (ray_casino_sink_lag_records)", "records"),),
            "Only with Kafka.",
        ),
        Panel(
            "Kafka consumer lag in time",
            "s",
            (Query("max (ray_casino_sink_lag_seconds)", "behind the bus"),),
            "Only with Kafka.",
        ),
        Panel(
            "Taken off the bus",
            "ops",
            (
                _rate("ray_casino_sink_events_total", legend="events"),
                _rate("ray_casino_sink_dead_letters_total", legend="dead letters"),
            ),
            "Only with Kafka.",
        ),
        Panel("ClickHouse rows", "ops", (_rate("ray_casino_clickhouse_rows_total", legend="inserted"),)),
        Panel("ClickHouse errors", "ops", (_rate("ray_casino_clickhouse_errors_total", legend="errors"),)),
        Panel(
            "Reconciliation",
            "short",
            (
                Query("max (ray_casino_reconcile_missing)", "missing"),
                Query("max (ray_casino_reconcile_duplicates)", "twice"),
            ),
            "Events in Postgres that ClickHouse lacked, or has twice, when they were compared last.",
        ),
    ),
)

DASHBOARDS = (PLAYERS, HOSTS, EVENTS)
