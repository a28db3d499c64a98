"""The disk in memory, for servers that are made and thrown away."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

ROOM = 6 * 2**30
"""Several times the 1.3 GB that two workers were seen to take there."""


def room_in_memory() -> Path | None:
    """Where it is, if it has room and lets programs run. A server starts there in half a disk's time and makes a
    database in a tenth: each is hundreds of files, and on some disks they take longer the more were removed before.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and psutil.virtual_memory().available > ROOM:
        found = os.statvfs(memory)
        if found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC:
            return memory
    return None
