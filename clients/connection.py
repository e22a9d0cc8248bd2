"""One attempt at a WebSocket connection, and what its end means: try again, or stop for good.

Owns the use of the ``websockets`` library's handshake. Knows nothing of commands.
"""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
    WebSocketException,
)
from websockets.typing import Subprotocol

from clients.errors import AuthenticationFailed, ClientError, ConnectionLost, ProtocolViolation
from clients.protocol import CLOSE_BANNED, CLOSE_NOT_AUTHENTICATED, FINAL_CLOSE_CODES, SUBPROTOCOL

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Interrupted(Exception):
    """The connection could not be made or has ended; another attempt may succeed."""


async def open_connection(url: str, message_bytes_max: int, timeout_s: float) -> ClientConnection:
    """Connect and agree on the subprotocol, without compression.

    Raises:
        Interrupted: try again.
        ClientError: final.
    """
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=message_bytes_max,
            open_timeout=timeout_s,
            close_timeout=2.0,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status in _RETRYABLE_STATUS:
            raise Interrupted(f"handshake answered with HTTP {status}") from error
        if status in (401, 403):
            raise AuthenticationFailed(f"http_{status}", "the server refused the handshake") from error
        raise ProtocolViolation(f"handshake answered with HTTP {status}") from error
    except (InvalidURI, NegotiationError) as error:
        raise ProtocolViolation(str(error)) from error
    except (TimeoutError, OSError, InvalidHandshake, ConnectionClosed) as error:
        raise Interrupted(repr(error)) from error
    except WebSocketException as error:
        raise ProtocolViolation(str(error)) from error
    if socket.subprotocol != SUBPROTOCOL:
        await socket.close(1002)
        raise ProtocolViolation(f"the server does not speak {SUBPROTOCOL}")
    return socket


def end_of(error: ConnectionClosed) -> Interrupted | ClientError:
    """What the end of an established connection means. Only ``FINAL_CLOSE_CODES`` are final."""
    close = error.rcvd
    if close is None or close.code not in FINAL_CLOSE_CODES:
        return Interrupted(str(error))
    if close.code == CLOSE_NOT_AUTHENTICATED:
        return AuthenticationFailed(close.reason or "not_authenticated", "the server closed the connection")
    if close.code == CLOSE_BANNED:
        return AuthenticationFailed("banned", "the server closed the connection")
    return ConnectionLost(f"closed for good with {close.code}: {close.reason}")
