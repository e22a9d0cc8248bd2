"""``casino keys``: the keys that sign access tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    fail,
    instance_of,
    print_json,
    settings_for,
)
from deploy.key_ring import FILE_NAME, SETTLE_S, KeyFile, KeyFileError, given_keys, keys_at
from deploy.settings import Settings
from runtime.clock import SystemClock

keys = typer.Typer(help="Keys that sign access tokens.", no_args_is_help=True)


class KeyShown(msgspec.Struct):
    """What may be told of a key: all but itself. Times in ms since the Unix epoch."""

    kid: str
    signs: bool
    created_ms: int
    signs_from_ms: int
    verifies_until_ms: int | None


@keys.command()
def rotate(
    drop_old: Annotated[
        bool,
        typer.Option(
            "--drop-old", help="Somebody may know the old keys: remove them now. Voids all access tokens."
        ),
    ] = False,
    data: DataOption = None,
) -> None:
    """Sign with a new key from now on. Old tokens stay good until they expire; no restart needed."""
    settings = settings_for(data)
    try:
        new = _file_of(settings).rotate(
            SystemClock().now_ms(), settings.access_token_lifetime_s, drop_old=drop_old
        )
    except (KeyFileError, OSError) as error:
        fail(str(error))
    when = "as soon as a gateway has read it" if drop_old else f"in {SETTLE_S:.0f} s"
    console.print(f"key {new.kid} signs {when}", highlight=False)


@keys.command("list")
def list_keys(data: DataOption = None, json: JsonOption = False) -> None:
    """Show which keys there are. Never shows a key itself."""
    now_ms = SystemClock().now_ms()
    try:
        stored = _file_of(settings_for(data)).read()
        verifying, active = keys_at(stored, now_ms)
    except (KeyFileError, OSError) as error:
        fail(str(error))
    shown = [
        KeyShown(key.kid, key.kid == active, key.created_ms, key.signs_from_ms, key.verifies_until_ms)
        for key in stored
        if key.kid in verifying
    ]
    if json:
        print_json(shown)
        return
    table = Table("kid", "made", "signs", "verifies until", box=None)
    for key in shown:
        table.add_row(
            key.kid,
            _time(key.created_ms),
            _signs(key, now_ms),
            _time(key.verifies_until_ms) if key.verifies_until_ms is not None else "",
        )
    console.print(table)


def _file_of(settings: Settings) -> KeyFile:
    if given_keys(settings):
        fail(
            "the keys come from CASINO_SIGNING_KEYS: add the new one there, last; when every gateway was "
            "restarted, move it to the front"
        )
    path = instance_of(settings).data / "secrets" / FILE_NAME
    if not path.exists():
        fail(f"there are no keys in {path}: 'casino up' makes them")
    return KeyFile(path)


def _signs(key: KeyShown, now_ms: int) -> str:
    if key.signs:
        return "yes"
    return f"from {_time(key.signs_from_ms)}" if key.signs_from_ms > now_ms else "no longer"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
