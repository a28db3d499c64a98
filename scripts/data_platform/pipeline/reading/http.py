"""Pages of JSON over HTTP, kept in a file of lines first: what is staged can then be read again."""

from __future__ import annotations

import json
import re
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.reading.asking import get, shown
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.spec.pipeline import Pages, Source

_MAX_PAGES = 100_000
_MOST_ALIKE = 10
"""Pages one after the other with the very same rows: the server does not look at their number."""
_MARKED = re.compile(r'"\\u0000([-+.0-9eE]+)\\u0000"')


@dataclass(frozen=True)
class _Exact:
    """A number of which a float would lose digits: 1.10, or one of twenty."""

    text: str


@contextmanager
def lines_of(source: Source, url: str) -> Iterator[Path]:
    """All pages of the source, the first one at `url`, as a file of JSON lines, removed at the end.

    Raises Passing for an answer that may be another one the next time, EnvironmentProblem for the others, UsageProblem
    where a page does not hold what the spec says.
    """
    with tempfile.TemporaryDirectory(prefix="dpe-pages-") as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for page in _pages(source, url):
                out.writelines(_line(row) for row in page)
        yield path


def _line(row: Any) -> str:
    """The row as JSON, its numbers as they came. No text of PostgreSQL holds what marks them."""
    marked = json.dumps(row, ensure_ascii=True, default=lambda number: f"\0{number.text}\0")
    return _MARKED.sub(r"\1", marked) + "\n"


def _number(text: str) -> float | _Exact:
    value = float(text)
    return value if repr(value) == text else _Exact(text)


def _pages(source: Source, url: str) -> Iterator[list[Any]]:
    address: str | None = url
    number = source.pages.first
    seen: set[str] = set()
    before: list[Any] = []
    alike = 0
    while address is not None:
        asked = _with_number(address, source.pages, number)
        if asked in seen or len(seen) >= _MAX_PAGES:
            raise UsageProblem("the pages go round in a circle", where=shown(asked))
        seen.add(asked)
        body = _body(asked, source.pages)
        rows = _at(body, source.pages.records, asked, "records")
        if not isinstance(rows, list):
            raise UsageProblem(
                "there is no list of rows", where=shown(asked), expected="pages: {records: data.items}"
            )
        alike = alike + 1 if rows and rows == before else 0
        if alike >= _MOST_ALIKE:
            raise UsageProblem(
                f"{alike + 1} pages have the same rows: `{source.pages.parameter or '.'.join(source.pages.next)}`"
                " changes nothing",
                where=shown(asked),
                expected="pages: {parameter: …} with the name that the server has for the page's number, or"
                " {next: …} with the key of a link to another page",
            )
        before = rows
        yield rows
        number += 1
        address = _next(body, source.pages, url, asked, rows)


def _next(body: Any, pages: Pages, url: str, asked: str, rows: list[Any]) -> str | None:
    if pages.next:
        link = _at(body, pages.next, asked, "next", optional=True)
        if not link:
            return None
        if not isinstance(link, str):
            raise UsageProblem(
                f"`{'.'.join(pages.next)}` is {json.dumps(link, default=str)[:40]}, which is no address",
                where=shown(asked),
                expected="a link to the next page, or `parameter:` where pages are counted",
            )
        try:
            following = urllib.parse.urljoin(asked, link)
        except ValueError:
            raise UsageProblem("the address of the next page is none", where=shown(asked)) from None
        # A page must not send us, with our token, to another server.
        if urllib.parse.urlsplit(following)[:2] != urllib.parse.urlsplit(asked)[:2]:
            raise UsageProblem("the next page is on another server", where=shown(following))
        return following
    return url if pages.parameter and rows else None


def _with_number(address: str, pages: Pages, number: int) -> str:
    if not pages.parameter:
        return address
    parts = urllib.parse.urlsplit(address)
    query = [*urllib.parse.parse_qsl(parts.query, keep_blank_values=True), (pages.parameter, str(number))]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))


def _body(address: str, pages: Pages) -> Any:
    raw = get(address, pages.token)
    try:
        return json.loads(raw, parse_float=_number)
    except ValueError:
        # A body that was cut off looks like this too.
        raise Passing("the answer is no JSON", where=shown(address)) from None


def _at(body: Any, keys: tuple[str, ...], address: str, what: str, *, optional: bool = False) -> Any:
    for key in keys:
        if not isinstance(body, dict) or key not in body:
            if optional:
                return None
            raise UsageProblem(f"there is no `{key}` ({what})", where=shown(address))
        body = body[key]
    return body
