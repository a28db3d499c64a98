"""Processor time of a server process on this machine: less moved by what else runs than the clock is."""

from __future__ import annotations

from pathlib import Path

import psutil


def cpu_seconds(pid: int) -> float:
    """Seconds that the process with this id has had a processor; to the nanosecond where Linux tells.

    Raises psutil.NoSuchProcess when there is none, and psutil.AccessDenied when it is not ours to see.
    """
    try:
        # proc(5), /proc/pid/schedstat: the first figure is the time on a processor in nanoseconds.
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, IndexError, ValueError):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
