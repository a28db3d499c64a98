"""Lines of JSON, each an object: the server parses them, and a line that is none goes into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from data_platform.postgres.pipelines.staging import JSON_DELIMITER, Stream, Torn
from data_platform.spec.pipeline import Source
from data_platform.sql.text import Sql

_SHOWN = 2_000
_CONTROLS = (b"\x01", b"\x02", b"\x03", b"\0")
"""What JSON never holds as it is, and what marks quotes, fields and NULL on the way to the server."""


def stream(source: Source, blocks: Callable[[], Iterable[bytes]]) -> Stream:
    """The lines; blank ones are left out."""
    return Stream(
        columns=tuple(source.columns),
        options=Sql(""),
        blocks=lambda: _joined(blocks()),
        delimiter=JSON_DELIMITER,
        split=lambda: records(blocks()),
        is_json=True,
    )


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines again in blocks, without blank ones and without carriage returns, which JSON has no use for."""
    for block in _whole_lines(blocks):
        kept = [line for raw in block.split(b"\n") if (line := raw.rstrip(b"\r")).strip()]
        if kept:
            yield b"\n".join(kept) + b"\n"


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for block in blocks:
        cut = block.rfind(b"\n")
        if cut < 0:
            rest.append(block)
            continue
        yield b"".join([*rest, block[:cut]])
        rest = [block[cut + 1 :]]
    yield b"".join(rest)


def records(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes] | Torn]:
    """Each line with its number from 1, blank ones not counted; those that the server cannot even take as `Torn`."""
    number = 0
    for block in _joined(blocks):
        for line in block.splitlines():
            number += 1
            yield _record(number, line)


def _record(number: int, line: bytes) -> tuple[int, bytes] | Torn:
    reason = "holds a control character" if any(one in line for one in _CONTROLS) else None
    try:
        line.decode()
    except UnicodeDecodeError:
        reason = "no UTF-8"
    if reason:
        return Torn(number, line.decode(errors="backslashreplace").replace("\0", "\\x00")[:_SHOWN], reason)
    return number, line + b"\n"
