"""The files of a source: which there are, what they hold, and each as a stream for COPY."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.pipeline.reading import csv, jsonl
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import Source

BLOCK = 1 << 18


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
    inside = sorted(path for path in found if path.is_file())
    return tuple(
        Found(path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path), path)
        for path in inside
    )


def digest(path: Path) -> str:
    """SHA-256 of what the file holds."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def blocks_of(path: Path) -> Iterator[bytes]:
    """The file in blocks. EnvironmentProblem where it cannot be read to its end."""
    try:
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                yield block
    except OSError as error:
        raise EnvironmentProblem(f"cannot be read: {error.strerror}", where=str(path)) from error


def stream_of(source: Source, path: Path) -> Stream:
    """One file as a stream. UsageProblem where its first line is not what the format has."""
    if source.format == "csv":
        return csv.stream(source, path, lambda: blocks_of(path))
    if source.format == "jsonl":
        return jsonl.stream(source, lambda: blocks_of(path))
    from data_platform.pipeline.reading import parquet  # noqa: PLC0415  an extra

    return parquet.stream(source, path)
