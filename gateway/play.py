"""REST of playing: each route gives one command of the player's own session, as the socket would.

Owns which command has which route. A body is validated against the command's CommandSpec and encoded
as on the socket, so that the same key with the same content is the same command through both doors;
an answer is the command's result, unchanged.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from gateway.catalogue import Command, InvalidData, player_commands
from gateway.dependencies import GatewayDependencies
from gateway.fanout import session_of
from gateway.idempotency import optional_key, player_command
from gateway.openapi import (
    ASKED,
    CHECKED,
    JSON,
    SIGNED_IN,
    problems,
    reference,
    refusals,
)
from gateway.play_examples import EXAMPLES
from gateway.problems import Problem, status_of
from gateway.questions import result_of
from gateway.request_limits import player_of
from gateway.tokens import Bearer
from runtime.behavior import CommandSpec

_to_json = msgspec.json.Encoder().encode
_from_messagepack = msgspec.msgpack.Decoder().decode
_NOTHING = msgspec.Raw(b"{}")


class PlayRoute(NamedTuple):
    method: str
    path: str
    command: str
    tag: str


ROUTES = (
    PlayRoute("GET", "/api/users/profile", "get_profile", "player"),
    PlayRoute("GET", "/api/dashboard", "get_dashboard", "player"),
    PlayRoute("POST", "/api/streak/claim", "claim_streak", "player"),
    PlayRoute("POST", "/api/actions", "log_action", "player"),
    PlayRoute("POST", "/api/actions/bulk", "log_actions", "player"),
    PlayRoute("POST", "/api/games/slots/spin", "spin_slots", "games"),
    PlayRoute("POST", "/api/games/crash/bets", "place_crash_bet", "games"),
    PlayRoute("GET", "/api/games/crash/bets", "get_crash_bets", "games"),
    PlayRoute("POST", "/api/games/crash/cash-out", "cash_out_crash", "games"),
)


def play_routes(dependencies: GatewayDependencies) -> APIRouter:
    """Those routes whose command the house has."""
    router = APIRouter()
    commands = player_commands(dependencies.catalogue)
    for route in ROUTES:
        spec = dependencies.catalogue.get(route.command)
        if spec is not None:
            _add(router, dependencies, route, spec, commands[route.command])
    return router


def play_shapes(dependencies: GatewayDependencies) -> list[type[msgspec.Struct]]:
    """The shapes that the document of these routes refers to."""
    specs = [dependencies.catalogue[r.command] for r in ROUTES if r.command in dependencies.catalogue]
    bodies = [spec.data for spec in specs if spec.data.__struct_fields__]
    return [*bodies, *(spec.result for spec in specs)]


def _add(
    router: APIRouter,
    dependencies: GatewayDependencies,
    route: PlayRoute,
    spec: CommandSpec,
    command: Command,
) -> None:
    player = player_of(dependencies)
    actors = dependencies.router
    counters = dependencies.fanout.counters

    async def counted(question: Awaitable[msgspec.Raw]) -> msgspec.Raw:
        try:
            result = await question
        except Problem as problem:
            counters.commands_failed[command.name, problem.code] += 1
            raise
        counters.commands_done[command.name] += 1
        return result

    async def read(bearer: Bearer = Depends(player)) -> Response:
        data = command.from_json(_NOTHING)
        return _answer(await counted(result_of(actors, session_of(bearer.user_id), command.name, data)))

    async def write(
        request: Request, bearer: Bearer = Depends(player), key: str | None = Depends(optional_key)
    ) -> Response:
        try:
            data = command.from_json(msgspec.Raw(await request.body() or _NOTHING))
        except InvalidData as error:
            raise Problem(status_of("invalid_data"), "invalid_data", str(error)) from None
        actor, command_id = session_of(bearer.user_id), player_command(key)
        return _answer(await counted(result_of(actors, actor, command.name, data, command_id)))

    is_write = route.method == "POST"
    router.add_api_route(
        route.path,
        write if is_write else read,
        methods=[route.method],
        operation_id=spec.name,
        summary=spec.summary.rstrip("."),
        tags=[route.tag],
        response_model=None,
        responses=problems(
            SIGNED_IN,
            ASKED,
            *([CHECKED, refusals(spec.errors)] if is_write else []),
        )
        | {200: _result(spec)},
        openapi_extra=_body(route, spec) if is_write else None,
    )


def _answer(result: msgspec.Raw) -> Response:
    return Response(_to_json(_from_messagepack(result)), media_type=JSON)


def _result(spec: CommandSpec) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": reference(spec.result)}
    if spec.name in EXAMPLES:
        content["example"] = EXAMPLES[spec.name].result
    return {"description": f"The result of `{spec.name}`.", "content": {JSON: content}}


def _body(route: PlayRoute, spec: CommandSpec) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if spec.data.__struct_fields__:
        content: dict[str, Any] = {"schema": reference(spec.data)}
        if spec.name in EXAMPLES:
            content["example"] = EXAMPLES[spec.name].data
        required = any(field.required for field in msgspec.structs.fields(spec.data))
        extra["requestBody"] = {"required": required, "content": {JSON: content}}
    return extra
