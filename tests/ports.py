"""Ports that stay free for a server that comes and goes."""

import random
import socket

# Below the range out of which the kernel serves everybody who does not mind: while a server is down between
# two lives, another's dashboard would take its port from there. Above Ray's own.
_FIRST, _LAST = 20_000, 32_000


def free_port() -> int:
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
