"""What administrators and people who ask about themselves need, wired."""

from __future__ import annotations

from gateway.dependencies import BackOffice
from persistence.postgres.account_stores import AccountStores


def back_office(stores: AccountStores, invite_key: str) -> BackOffice:
    """``invite_key``: hex, at least 32 bytes, the same in every gateway."""
    return BackOffice(
        administration=stores.administration,
        players=stores.players,
        invites=stores.invites,
        audit_log=stores.audit_log,
        personal_data=stores.personal_data,
        invite_key=bytes.fromhex(invite_key),
    )
