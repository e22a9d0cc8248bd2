"""``POST /api/auth/signup``: a name, a password, an invite and a date of birth make a full account.

Owns the form of names and passwords, and who is old enough. That a name is one person's, and an invite
is used no more often than it may be, is decided where they are stored.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gateway.authentication import bearer_if_any
from gateway.dependencies import GatewayDependencies
from gateway.guests import new_user_id
from gateway.invites import CODE_CHARS_MAX, invite_hash
from gateway.openapi import ASKED, CHECKED, VISITED, problems
from gateway.problems import Problem
from gateway.refusals import refusals_as_problems
from gateway.request_limits import count_password, visitor_of
from gateway.token_pairs import TokenPair, TokenPairs
from gateway.tokens import Bearer

ADULT_YEARS = 18
USERNAME_PATTERN = r"^[A-Za-z0-9_.-]{3,32}$"
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 128

_BORN_AFTER = date(1900, 1, 1)
_REFUSED = {
    401: ["token_invalid", "token_expired", "token_revoked", "account_unknown"],
    403: ["underage", "invite_invalid", "banned"],
    409: ["username_taken", "not_a_guest"],
}


def _iso_date(value: Any) -> Any:
    # A number would be read as seconds since 1970.
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        raise ValueError("a date has the form 1990-12-31")
    return value


def _text(value: SecretStr) -> SecretStr:
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        # Half a character. The reason would quote it.
        raise ValueError("this is no text") from None
    return value


Secret = Annotated[SecretStr, AfterValidator(_text)]
"""Text that stands in no log and in no refusal."""
Username = Annotated[
    str,
    Field(
        pattern=USERNAME_PATTERN,
        description="3 to 32 letters, digits, dots, hyphens and underscores. Case does not tell names apart.",
    ),
]
GivenPassword = Annotated[Secret, Field(min_length=1, max_length=PASSWORD_CHARS_MAX)]
"""As somebody typed it who claims to know it."""
NewPassword = Annotated[Secret, Field(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)]


class SignUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    password: NewPassword
    invite_code: Annotated[Secret, Field(min_length=1, max_length=CODE_CHARS_MAX)]
    birth_date: Annotated[
        date, BeforeValidator(_iso_date), Field(ge=_BORN_AFTER, description="For adults only")
    ]


def is_adult(birth_date: date, today: date) -> bool:
    """Whoever was born on 29 February comes of age on 1 March."""
    had_birthday = (today.month, today.day) >= (birth_date.month, birth_date.day)
    return today.year - birth_date.year - (not had_birthday) >= ADULT_YEARS


def sign_up_routes(dependencies: GatewayDependencies, pairs: TokenPairs) -> APIRouter:
    router = APIRouter(prefix="/api/auth", tags=["accounts"])
    door = dependencies.front_door

    @router.post(
        "/signup",
        status_code=HTTPStatus.CREATED,
        summary="Sign up with an invite code",
        responses=problems(VISITED, ASKED, CHECKED, _REFUSED),
        dependencies=[Depends(visitor_of(dependencies))],
        # Added to what the guest's token asks for: it may be left out.
        openapi_extra={"security": [{}]},
    )
    async def sign_up(
        request: Request, form: SignUp, guest: Bearer | None = Depends(bearer_if_any(dependencies.tokens))
    ) -> TokenPair:
        """With a guest's access token, that guest becomes the full account and keeps gold and streak."""
        today = datetime.fromtimestamp(dependencies.clock.now_ms() / 1000, UTC).date()
        if not is_adult(form.birth_date, today):
            raise Problem(HTTPStatus.FORBIDDEN, "underage", f"One has to be {ADULT_YEARS} to play here.")
        invite = invite_hash(form.invite_code.get_secret_value())
        # Looked at before there is a password to hash; taken where the account is made.
        if not await door.credentials.has_uses_left(invite):
            raise Problem(HTTPStatus.FORBIDDEN, "invite_invalid", "This invite code is not good (any more).")
        await count_password(dependencies, request)
        password_hash = await door.passwords.hash(form.password.get_secret_value())
        user_id = guest.user_id if guest is not None else new_user_id()
        with refusals_as_problems():
            await door.credentials.sign_up(
                user_id,
                form.username,
                password_hash,
                form.birth_date,
                invite,
                from_guest=guest is not None,
            )
            dependencies.fanout.counters.sign_ups += 1
            return await pairs.begin(user_id)

    return router
