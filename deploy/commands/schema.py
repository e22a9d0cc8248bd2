"""``migrate``, ``asyncapi``, ``openapi`` and ``event-schema``: the shapes of the database, of the two
interfaces, and of what leaves on the event bus."""

from __future__ import annotations

import asyncio

from actors.catalogue import SECRET_EVENTS, behaviors
from actors.crash.messages import KIND as CRASH
from actors.profile import Profile
from deploy.commands.options import DataOption, console, dsn_of, fail, print_json, settings_for
from deploy.event_schema import event_schema
from deploy.instance import NotRunning
from gateway.asyncapi import asyncapi_document
from gateway.rest_document import rest_document
from persistence.postgres.migrate import current_revision, head_revision
from persistence.postgres.migrate import migrate as migrate_database
from runtime.errors import JournalError


def migrate(data: DataOption = None) -> None:
    """Bring the database's schema up to date. 'casino up' does it by itself."""
    try:
        dsn = dsn_of(settings_for(data))
        before = asyncio.run(current_revision(dsn))
        asyncio.run(migrate_database(dsn))
    except (NotRunning, JournalError, OSError) as error:
        fail(str(error))
    console.print(f"schema {before or 'empty'} → {head_revision()}")


def asyncapi() -> None:
    """Print the AsyncAPI document of the WebSocket protocol."""
    known = behaviors()
    session, crash = known["session"], known[CRASH]
    print_json(
        asyncapi_document(session.commands, session.pushes, view=Profile, topics={CRASH: crash.pushes})
    )


def openapi() -> None:
    """Print the OpenAPI document of the REST interface."""
    print_json(rest_document(behaviors()["session"].commands))


def published_events() -> None:
    """Print the JSON Schema of the messages on the event bus, one per turn."""
    print_json(event_schema(behaviors(), SECRET_EVENTS))
