"""Writing the files that a command makes: all or none, atomically, and never over somebody's work."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from data_platform.errors import EnvironmentProblem, UsageProblem


def write_files(files: Mapping[Path, str], *, force: bool) -> tuple[str, ...]:
    """Write each text to its path, creating directories; returns the paths in order.

    Everything is checked before anything is written. Raises `UsageProblem` when a file exists, differs, and
    `force` is not given, and `EnvironmentProblem` when the disk says no.
    """
    try:
        in_the_way = [path for path, text in files.items() if not force and _differs(path, text)]
        if in_the_way:
            raise UsageProblem(
                f"{len(in_the_way)} file(s) exist and differ: {', '.join(map(str, in_the_way))}",
                try_="look at them, then --force to overwrite, or another --output",
            )
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, text.encode())
    except OSError as fault:
        raise EnvironmentProblem(
            f"cannot write: {fault.strerror or fault}",
            where=str(fault.filename or ""),
            try_="another --output",
        ) from fault
    return tuple(str(path) for path in files)


def _differs(path: Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != text.encode())


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step, through symbolic links, keeping the file's mode. Raises OSError."""
    target = path.resolve()
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)  # noqa: PTH101
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
