"""Pages of JSON over HTTP, kept in a file of lines first: what is staged can then be read again."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.spec.pipeline import Pages, Source

_TIMEOUT_SECONDS = 60
_MAX_PAGES = 100_000
_MOST_ALIKE = 10
"""Pages one after the other with the very same rows: the server does not look at their number."""
_MAX_BYTES = 256 * 1024 * 1024
"""Of one page."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)


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
                out.writelines(json.dumps(row, ensure_ascii=True) + "\n" for row in page)
        yield path


def _pages(source: Source, url: str) -> Iterator[list[Any]]:
    address: str | None = url
    number = source.pages.first
    seen: set[str] = set()
    before: list[Any] = []
    alike = 0
    while address is not None:
        asked = _with_number(address, source.pages, number)
        if asked in seen or len(seen) >= _MAX_PAGES:
            raise UsageProblem("the pages go round in a circle", where=_shown(asked))
        seen.add(asked)
        body = _get(asked, source.pages)
        rows = _at(body, source.pages.records, asked, "records")
        if not isinstance(rows, list):
            raise UsageProblem(
                "there is no list of rows", where=_shown(asked), expected="pages: {records: data.items}"
            )
        alike = alike + 1 if rows and rows == before else 0
        if alike >= _MOST_ALIKE:
            raise UsageProblem(
                f"{alike + 1} pages have the same rows: `{source.pages.parameter}` changes nothing",
                where=_shown(asked),
                expected="pages: {parameter: …} with the name that the server has for the page's number",
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
        following = urllib.parse.urljoin(asked, str(link))
        # A page must not send us, with our token, to another server.
        if urllib.parse.urlsplit(following)[:2] != urllib.parse.urlsplit(asked)[:2]:
            raise UsageProblem("the next page is on another server", where=_shown(following))
        return following
    return url if pages.parameter and rows else None


def _with_number(address: str, pages: Pages, number: int) -> str:
    if not pages.parameter:
        return address
    parts = urllib.parse.urlsplit(address)
    query = [*urllib.parse.parse_qsl(parts.query, keep_blank_values=True), (pages.parameter, str(number))]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))


def _get(address: str, pages: Pages) -> Any:
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310  http(s) by the schema
    if pages.token:
        name = pages.token.removeprefix("env:")
        token = os.environ.get(name)
        if not token:
            raise UsageProblem(f"environment variable {name} is not set, or is empty")
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            raw = answer.read(_MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        kind = Passing if error.code in _PASSING else EnvironmentProblem
        raise kind(f"the server answers {error.code}", where=_shown(address)) from None
    except (OSError, urllib.error.URLError) as error:
        raise Passing(f"no answer: {getattr(error, 'reason', error)}", where=_shown(address)) from None
    if len(raw) > _MAX_BYTES:
        raise UsageProblem(f"a page is larger than {_MAX_BYTES:,} bytes", where=_shown(address))
    try:
        return json.loads(raw)
    except ValueError:
        # A body that was cut off looks like this too.
        raise Passing("the answer is no JSON", where=_shown(address)) from None


def _at(body: Any, keys: tuple[str, ...], address: str, what: str, *, optional: bool = False) -> Any:
    for key in keys:
        if not isinstance(body, dict) or key not in body:
            if optional:
                return None
            raise UsageProblem(f"there is no `{key}` ({what})", where=_shown(address))
        body = body[key]
    return body


def _shown(address: str) -> str:
    """Without user, password and query, which may hold secrets."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
