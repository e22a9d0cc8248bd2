from collections.abc import Mapping
from typing import Any

from clients.commands import PlayerCommands


class Recorder(PlayerCommands):
    async def command(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        return {"name": name, "data": data, "timeout": timeout}


async def test_each_method_is_its_command() -> None:
    player = Recorder()
    given = [
        await player.spin_slots(3),
        await player.spin_slots(3, "classic", timeout=1),
        await player.claim_streak(),
        await player.get_profile(),
        await player.send_gift("u_2", 4),
        await player.set_client_seed("x"),
        await player.rotate_server_seed(),
        await player.place_crash_bet(5),
        await player.place_crash_bet(5, "high", 1.5),
        await player.cash_out_crash(),
        await player.cash_out_crash("high"),
        await player.get_crash_bets(),
    ]
    assert [(command["name"], command["data"]) for command in given] == [
        ("spin_slots", {"stake": 3}),
        ("spin_slots", {"stake": 3, "machine": "classic"}),
        ("claim_streak", {}),
        ("get_profile", {}),
        ("send_gift", {"to_user": "u_2", "amount": 4}),
        ("set_client_seed", {"client_seed": "x"}),
        ("rotate_server_seed", {}),
        ("place_crash_bet", {"stake": 5, "table": "main"}),
        ("place_crash_bet", {"stake": 5, "table": "high", "auto_cash_out": 1.5}),
        ("cash_out_crash", {"table": "main"}),
        ("cash_out_crash", {"table": "high"}),
        ("get_crash_bets", {}),
    ]
    assert given[1]["timeout"] == 1
