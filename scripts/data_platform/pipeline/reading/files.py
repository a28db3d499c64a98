"""The files of a source: which there are, what they hold, and each as a stream for COPY."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.pipeline.reading import csv, jsonl
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import Source

BLOCK = 1 << 18
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MAGIC = 4
_BOM = b"\xef\xbb\xbf"

Stamp: TypeAlias = tuple[int, int, int]
"""What is another one once a file was written to, or another file has its name."""


@dataclass(frozen=True)
class Found:
    """A file by its place under the spec's folder, which is what checkpoints know it by."""

    name: str
    path: Path


def files_of(source: Source, base: Path) -> tuple[Found, ...]:
    """The files that the source's pattern names, by name. UsageProblem where a plain path is not there."""
    assert source.path is not None
    if not any(sign in source.path for sign in "*?["):
        path = base / source.path
        if not path.is_file():
            raise UsageProblem("no such file", where=str(path), expected=f"the source `{source.name}`")
        return (Found(source.path, path),)
    root = Path(source.path)
    found = (
        Path(root.anchor).glob(str(root.relative_to(root.anchor)))
        if root.is_absolute()
        else base.glob(source.path)
    )
    hidden = "/." in f"/{source.path}"
    inside = sorted(path for path in found if _has_begun(path) and (hidden or not _is_hidden(path, base)))
    return tuple(
        Found(path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path), path)
        for path in inside
    )


def _has_begun(path: Path) -> bool:
    """Whether it is a file with something in it: one of a folder that is empty has still to be written."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _is_hidden(path: Path, base: Path) -> bool:
    """As a shell has it: a name that begins with a dot is of a program that is not done with it."""
    inside = path.relative_to(base) if path.is_relative_to(base) else Path(path.name)
    return any(part.startswith(".") for part in inside.parts)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Passing for a file that is gone since it was listed, EnvironmentProblem for one that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise Passing("is gone since the files were listed", where=str(path)) from None
    except OSError as error:
        raise EnvironmentProblem(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def stamp(path: Path) -> Stamp:
    """Taken before and after it is read, this says whether somebody wrote to it meanwhile."""
    with _reading(path):
        found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def digest(path: Path) -> str:
    """SHA-256 of what the file holds."""
    with _reading(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def blocks_of(path: Path) -> Iterator[bytes]:
    """The text of a file in blocks, unpacked where it is packed by gzip, without a mark of byte order.

    Passing for a file that is cut off, UsageProblem for one that is packed otherwise.
    """
    with _reading(path), path.open("rb") as stream:
        magic = stream.read(_MAGIC)
        stream.seek(0)
        if magic == _ZSTD:
            raise UsageProblem("this file is packed by zstd", where=str(path), try_="unzstd, or gzip instead")
        bare = iter(lambda: stream.read(BLOCK), b"")
        blocks = _unpacked(stream, path) if magic.startswith(_GZIP) else bare
        yield next(blocks, b"").removeprefix(_BOM)
        yield from blocks


def _unpacked(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield from iter(lambda: unpacked.read(BLOCK), b"")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Passing(
            "this file is packed by gzip, and cut off or damaged",
            where=str(path),
            expected="a file that is written whole under another name, and renamed when it is",
        ) from None


def stream_of(source: Source, path: Path) -> Stream:
    """One file as a stream. UsageProblem where its first line is not what the format has."""
    if source.format == "csv":
        return csv.stream(source, path, lambda: blocks_of(path))
    if source.format == "jsonl":
        return jsonl.stream(source, lambda: blocks_of(path))
    from data_platform.pipeline.reading import parquet  # noqa: PLC0415  an extra

    return parquet.stream(source, path)
