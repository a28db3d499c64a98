"""The disk in memory, for servers that are made and thrown away."""

from __future__ import annotations

import os
from pathlib import Path

ROOM = 8 * 2**30
"""Several times what the whole suite was seen to take."""


def room_in_memory() -> Path | None:
    """Where it is, if it has room and lets programs run. A server starts there in half a disk's time and makes a
    database in a tenth: each is hundreds of files, and those of some disks get slower with all that were removed.
    """
    memory = Path("/dev/shm")
    if memory.is_dir():
        found = os.statvfs(memory)
        if found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC:
            return memory
    return None
