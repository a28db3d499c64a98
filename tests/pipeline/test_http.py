"""Pages of a real HTTP server: by number, by the link to the next one, and servers that never come to an end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.reading.http import lines_of
from data_platform.spec.pipeline import Pages, Source

Answer = Callable[[dict[str, list[str]]], Any]


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the queries that came."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = urlsplit(self.path).query
            asked.append(query)
            raw = json.dumps(answer(parse_qs(query))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}/rows", asked
    finally:
        served.shutdown()
        served.server_close()


def rows(answer: Answer, pages: Pages) -> tuple[list[Any], list[str]]:
    with serving(answer) as (url, asked), lines_of(Source(name="s", url=url, pages=pages), url) as path:
        return [json.loads(line) for line in path.read_text().splitlines()], asked


def test_by_number_until_a_page_is_empty() -> None:
    def answer(query: dict[str, list[str]]) -> Any:
        number = int(query["page"][0])
        return [{"n": number}] * 2 if number < 4 else []

    found, asked = rows(answer, Pages(parameter="page", first=1))
    assert [one["n"] for one in found] == [1, 1, 2, 2, 3, 3]
    assert asked == ["page=1", "page=2", "page=3", "page=4"]


def test_by_the_link_to_the_next_one() -> None:
    def answer(query: dict[str, list[str]]) -> Any:
        number = int(query.get("after", ["0"])[0])
        return {"data": [{"n": number}], "next": f"?after={number + 1}" if number < 2 else None}

    found, _ = rows(answer, Pages(records=("data",), next=("next",)))
    assert [one["n"] for one in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("answer", "pages", "said"),
    [
        (lambda query: [{"n": 1}], Pages(parameter="page"), "`page` changes nothing"),
        (lambda query: {"rows": [], "next": "?a=1"}, Pages(records=("rows",), next=("next",)), "in a circle"),
        (lambda query: {"rows": [], "next": "http://192.0.2.1/"}, Pages(records=("rows",), next=("next",)),
         "on another server"),
        (lambda query: {"items": []}, Pages(records=("rows",)), "there is no `rows`"),
        (lambda query: {"a": 1}, Pages(), "no list of rows"),
    ],
)  # fmt: skip
def test_what_never_ends_or_is_no_page(answer: Answer, pages: Pages, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        rows(answer, pages)
