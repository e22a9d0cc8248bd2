"""File descriptors: thousands of sockets need more of them than a shell usually grants."""

from __future__ import annotations

import resource

_OTHER_DESCRIPTORS = 256
"""For everything that is not a socket of the crowd."""


class TooFewDescriptors(Exception):
    """The system does not let this process have so many sockets."""


def allow_sockets(count: int) -> None:
    """Raise this process's limit, which its children inherit, so that each may open ``count`` sockets.

    Raises:
        TooFewDescriptors: says what to do about it.
    """
    wanted = count + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            raise TooFewDescriptors(
                f"{count} sockets in one process need {wanted} file descriptors, and the hard limit is "
                f"{hard}: raise it (ulimit -Hn {wanted}), or use more processes or fewer connections"
            ) from None
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
