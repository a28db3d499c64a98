"""Writing the files that a command makes: all or none, atomically, and never over somebody's work."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_platform.errors import EnvironmentProblem, UsageProblem


def write_files(files: Mapping[Path, str], *, force: bool) -> tuple[str, ...]:
    """Write each text to its path, creating directories; returns the paths in order.

    Everything is checked before anything is written. Raises `UsageProblem` when a file exists, differs, and
    `force` is not given, or when something else than a file is there, and `EnvironmentProblem` when the disk
    says no.
    """
    with _disk_problems():
        _refuse_special(files)
        _refuse_in_the_way([path for path, text in files.items() if not force and _differs(path, text)])
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, text.encode())
    return tuple(str(path) for path in files)


def refuse_existing(paths: Sequence[str | None], force: bool) -> None:
    """Before long work: refuse where `write_files` would refuse its result, which differs from run to run.

    None stands for an option that was not given. Raises `UsageProblem`, also for one file named twice.
    """
    given = [Path(path) for path in paths if path is not None]
    with _disk_problems():
        _refuse_special(given)
        twice = {path for path in given if [one.resolve() for one in given].count(path.resolve()) > 1}
        if twice:
            raise UsageProblem(
                f"the same file for two results: {', '.join(map(str, sorted(twice)))}",
                expected="a file for each",
            )
        _refuse_in_the_way([path for path in given if not force and os.path.lexists(path)])


def _refuse_special(paths: Iterable[Path]) -> None:
    """Neither a directory nor what a write would block on or do something else with, whatever --force says."""
    special = [path for path in paths if path.exists() and not path.is_file()]
    if special:
        raise UsageProblem(
            f"not a regular file: {', '.join(map(str, special))}",
            expected="a file, or a path where nothing is yet",
            try_="another --output",
        )


def _refuse_in_the_way(paths: Sequence[Path]) -> None:
    if paths:
        raise UsageProblem(
            f"{len(paths)} file(s) exist and differ: {', '.join(map(str, paths))}",
            try_="look at them, then --force to overwrite, or another --output",
        )


def _differs(path: Path, text: str) -> bool:
    """Whether something else is at `path`; a link that leads nowhere is somebody's work too."""
    return os.path.lexists(path) and (not path.exists() or path.read_bytes() != text.encode())


@contextmanager
def _disk_problems() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise EnvironmentProblem(
            f"cannot write: {fault.strerror or fault}",
            where=str(fault.filename or ""),
            try_="another --output",
        ) from fault


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
