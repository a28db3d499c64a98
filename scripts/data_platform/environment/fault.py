"""Why an environment could not be had, said so that a person can act on it."""

from __future__ import annotations

import errno


class Fault(Exception):
    """No environment. `cause` is one or two plain lines; `command` is what to run by hand."""

    def __init__(self, cause: str, command: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.command = command


_NO_SPACE = ("no space left", "disk quota", "os error 28")
_NO_WRITE = ("read-only file system", "permission denied", "operation not permitted")
_NO_VENV = ("ensurepip", "no module named venv", "no module named 'venv'", "no module named pip")
_NO_NETWORK = (
    "connection refused", "connection error", "connectionerror", "newconnectionerror", "connecttimeout",
    "connection reset", "error sending request", "failed to fetch", "could not connect", "dns error",
    "name resolution", "name or service not known", "network is unreachable", "no route to host",
    "timed out", "proxyerror", "tunnel", "offline",
)  # fmt: skip


def kind_of(output: str) -> str:
    """What an installer complains of: "space", "write", "venv", "network", or "" for something else."""
    lower = output.lower()
    for kind, signs in (
        ("space", _NO_SPACE),
        ("venv", _NO_VENV),
        ("network", _NO_NETWORK),
        ("write", _NO_WRITE),
    ):
        if any(sign in lower for sign in signs):
            return kind
    return ""


def kind_of_error(error: OSError) -> str:
    """The same for a refused system call."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "space"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "write"
    return ""
