"""Separated values. The server parses them; here are only the header, and the records of a file that it refuses.

A record ends at a line's end outside quotes, as PostgreSQL reads it: a quote anywhere turns quoting on or off, and two
of them within quotes are one of the value.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.postgres.pipelines.staging import Stream, Torn
from data_platform.spec.pipeline import Csv, Source
from data_platform.sql.text import Sql, literal

_MAX_RECORD = 64 * 1024 * 1024
"""Bytes of a record; an unclosed quote would otherwise take the rest of the file into memory."""
_SHOWN = 2_000
_PYTHONS = {"koi8r": "koi8_r", "koi8u": "koi8_u", "koi8": "koi8_r", "sqlascii": "ascii", "unicode": "utf-8"}
"""Python's name of an encoding where PostgreSQL's is no alias of it."""


def stream(source: Source, path: Path, blocks: Callable[[], Iterable[bytes]]) -> Stream:
    """The file as COPY reads it: with its own header, or the declared columns where it has none."""
    how = source.csv
    names = _header(how, path, blocks) if how.header else tuple(source.columns)
    return Stream(
        columns=names,
        options=_options(how),
        blocks=blocks,
        delimiter=how.delimiter.encode(),
        split=lambda: records(blocks(), how, len(names)),
    )


def _options(how: Csv) -> Sql:
    parts = [
        "FORMAT csv",
        f"DELIMITER {literal(how.delimiter)}",
        f"QUOTE {literal(how.quote)}",
        f"NULL {literal(how.null)}",
        f"ENCODING {literal(_codec(how.encoding)[0])}",
        *(["HEADER true"] if how.header else []),
    ]
    return Sql(f"({', '.join(parts)})")


def _header(how: Csv, path: Path, blocks: Callable[[], Iterable[bytes]]) -> tuple[str, ...]:
    first = next(iter(_lines(blocks(), how.quote.encode())), None)
    if first is None:
        raise UsageProblem(
            "the file is empty: it has not even a first line that names the columns",
            where=str(path),
            expected="a file that is written whole under another name, and renamed when it is",
        )
    try:
        text = first.decode(_codec(how.encoding)[1])
    except UnicodeDecodeError:
        raise UsageProblem(
            f"the first line is no {how.encoding}", where=str(path), try_="csv: {encoding: …}"
        ) from None
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=how.delimiter, quotechar=how.quote))
    except csv.Error:
        raise UsageProblem(
            "a carriage return stands in the first line outside quotes",
            where=str(path),
            expected="lines that end with a line feed",
            try_="tr '\\r' '\\n', where they end with carriage returns",
        ) from None
    names = tuple(name.strip() for name in rows[0]) if rows else ()
    if not names or not all(names):
        raise UsageProblem(
            "the first line does not name the columns", where=str(path), try_="csv: {header: false}"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageProblem(
            f"the first line names `{twice[0]}` twice", where=str(path), expected="each column once"
        )
    return names


def _codec(encoding: str) -> tuple[str, str]:
    """PostgreSQL's name of an encoding, and Python's. UsageProblem for one that they do not both have."""
    plain = re.sub(r"[^a-z0-9]", "", encoding.lower())
    page = re.fullmatch(r"(?:win|windows|cp)(\d+)", plain)
    names = (f"WIN{page[1]}", f"cp{page[1]}") if page else (encoding, _PYTHONS.get(plain, encoding))
    try:
        found = codecs.lookup(names[1]).name
    except LookupError:
        found = ""
    if not found or found.startswith(("utf-16", "utf-32")):
        raise UsageProblem(
            f"PostgreSQL reads no {encoding}",
            where="csv: {encoding: …}",
            expected="UTF8, LATIN1, WIN1252, SJIS … (the manual, 23.3.1); another one has to be converted before",
        )
    return names


def _lines(blocks: Iterable[bytes], quote: bytes) -> Iterator[bytes]:
    """Records with their line ends; one that grows past any sense is given as it is, without an end."""
    pending = bytearray()
    parity = 0
    for block in blocks:
        for line in _split(block):
            pending += line
            parity ^= line.count(quote) & 1
            if (not parity and line.endswith(b"\n")) or len(pending) > _MAX_RECORD:
                yield bytes(pending)
                pending.clear()
                parity = 0
    if pending:
        yield bytes(pending)


def _split(block: bytes) -> list[bytes]:
    """At \\n only: a lone \\r is a part of a value, and \\r\\n may be cut by the end of a block."""
    parts = block.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def records(blocks: Iterable[bytes], how: Csv, width: int) -> Iterator[tuple[int, bytes] | Torn]:
    """Each record with its number from 1, header not counted; those that no row can be made of as `Torn`."""
    quote, delimiter = how.quote.encode(), how.delimiter.encode()
    codec = _codec(how.encoding)[1]
    lines = _lines(blocks, quote)
    if how.header:
        next(lines, None)
    for number, record in enumerate(lines, 1):
        reason = _fault(record, quote, delimiter, codec, width)
        if reason:
            yield Torn(
                number, record.decode(codec, "backslashreplace").replace("\0", "\\x00")[:_SHOWN], reason
            )
        else:
            yield number, record if record.endswith(b"\n") else record + b"\n"


def _fault(record: bytes, quote: bytes, delimiter: bytes, codec: str, width: int) -> str | None:
    if record.count(quote) & 1:
        return "a quote is not closed"
    if b"\0" in record:
        return "holds the character NUL"
    try:
        record.decode(codec)
    except UnicodeDecodeError:
        return f"no {codec}"
    # Of a text cut at its quotes every second part stands within them.
    outside = record.rstrip(b"\r\n").split(quote)[::2]
    found = 1 + sum(part.count(delimiter) for part in outside)
    return None if found == width else f"{found} fields where {width} are expected"
