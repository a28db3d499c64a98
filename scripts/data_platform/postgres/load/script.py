r"""Files of SQL: read from disk as they are, with what they include by `\i` and `\ir`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import UsageProblem

_NOT_SQL = (
    (b"PGDMP", "an archive of pg_dump", "pg_restore --file=dump.sql --no-owner ARCHIVE"),
    (b"\x1f\x8b", "compressed by gzip", "gunzip it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unzstd it"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "unlz4 it"),
    (b"PK\x03\x04", "a zip archive", "unzip it"),
)
_DEEPEST = 20


@dataclass(frozen=True)
class Script:
    """SQL from a file: `text` as bytes as they are on disk, or as text. `file` is for messages and for includes."""

    file: str
    text: str | bytes
    root: Path | None = None
    """What is included must lie in this directory; by default the one of `file`."""
    depth: int = 0

    @property
    def directory(self) -> Path:
        return self.root or Path(self.file).parent


def read_script(path: Path) -> Script:
    """The file as a script. Raises UsageProblem when it cannot be read or is no text."""
    return Script(str(path), _read(path), path.parent)


def included(script: Script, argument: str, *, where: str) -> Script:
    """The script that `\\i argument` names: a path relative to the including file or to the first one.

    Raises UsageProblem when it is not in the first file's directory or below it, cannot be read, or never ends.
    """
    name = argument.strip("'")
    if not name or any(character in name for character in "`:'\"\\\0"):
        raise UsageProblem("this include names no plain path", where=where, expected="\\i path/to/file.sql")
    if script.depth >= _DEEPEST:
        raise UsageProblem(f"includes go deeper than {_DEEPEST} files", where=where)
    root = script.directory.resolve()
    for base in (Path(script.file).parent, script.directory):
        path = (base / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return Script(str(path), _read(path), script.directory, script.depth + 1)
    raise UsageProblem(
        f"the included file {name} is not there, or not in the directory of the file that was given",
        where=where,
        expected=f"a file in {script.directory}",
    )


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageProblem(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    for start, what, remedy in _NOT_SQL:
        if content.startswith(start):
            raise UsageProblem(f"this is {what}, not SQL", where=str(path), try_=remedy)
    return content
