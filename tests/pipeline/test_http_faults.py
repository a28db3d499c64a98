"""What real servers answer beside good pages: not now, half of it, packed, from elsewhere, and numbers with digits."""

from __future__ import annotations

import email.utils
import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.pipeline.reading.http import lines_of
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.server import Database
from data_platform.spec.pipeline import Pages, Source
from pipeline.running import ask, do


@dataclass(frozen=True)
class Said:
    """An answer. `length` is what the header claims."""

    body: bytes = b"[]"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    chunked: bool = False


@contextmanager
def saying(*answers: Said) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server that gives one answer after the other, the last one ever after; what was asked, with which token."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            said = answers[min(len(asked), len(answers)) - 1]
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%s" % (len(said.body) + 5, said.body))
            else:
                self.send_header("Content-Length", str(said.length or len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}/rows", asked
    finally:
        served.shutdown()
        served.server_close()


def read(url: str, pages: Pages = Pages()) -> list[Any]:  # noqa: B008  frozen
    with lines_of(Source(name="s", url=url, pages=pages), url) as path:
        return [json.loads(line) for line in path.read_text().splitlines()]


GOOD = Said(b'[{"n": 1}]')


@pytest.mark.parametrize(
    "bad",
    [
        Said(status=500),
        Said(status=429, headers={"Retry-After": "0"}),
        Said(b'[{"n"', length=900),
        Said(b'[{"n": 1}', length=10),
        Said(b'[{"n": 1}]', length=900),  # cut where it is good JSON
        Said(b'[{"n"', chunked=True),
        Said(gzip.compress(b'[{"n": 1}]')[:-6], headers={"Content-Encoding": "gzip"}),
    ],
)
def test_a_page_that_fails_once_is_asked_for_again(bad: Said) -> None:
    pages = (Said(b'{"rows": [{"n": 0}], "next": "?p=2"}'), bad, Said(b'{"rows": [{"n": 1}]}'))
    with saying(*pages) as (url, asked):
        assert read(url, Pages(records=("rows",), next=("next",))) == [{"n": 0}, {"n": 1}]
    assert [path for path, _ in asked] == ["/rows", "/rows?p=2", "/rows?p=2"]


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_that_asks_to_wait_is_waited_for(as_date: bool) -> None:
    after = email.utils.formatdate(time.time() + 3, usegmt=True) if as_date else "2"
    with saying(Said(status=429, headers={"Retry-After": after}), GOOD) as (url, _):
        began = time.monotonic()
        assert read(url) == [{"n": 1}]
        assert time.monotonic() - began > 1.5
    with saying(Said(status=503, headers={"Retry-After": "7200"})) as (url, asked):
        with pytest.raises(EnvironmentProblem, match="asks to wait 7,200 s"):
            read(url)
        assert len(asked) == 1


def test_what_never_gets_better_is_given_up() -> None:
    with saying(Said(status=502)) as (url, asked):
        with pytest.raises(Passing, match="the server answers 502"):
            read(url)
        assert len(asked) > 1
    with saying(Said(status=403)) as (url, asked):
        with pytest.raises(EnvironmentProblem, match="the server answers 403"):
            read(url)
        assert len(asked) == 1


def test_a_token_goes_to_its_own_server_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret\n")  # as a file's last line has it
    token = Pages(token="env:API_TOKEN")
    with saying(GOOD) as (elsewhere, asked_there):
        away = Said(status=302, headers={"Location": elsewhere})
        with saying(away) as (url, asked), pytest.raises(UsageProblem, match="sends us to another one"):
            read(url, token)
        assert (asked, asked_there) == ([("/rows", "Bearer s3cret")], [])
    within = Said(status=307, headers={"Location": "/there"})
    with saying(within, GOOD) as (url, asked):
        assert read(url, token) == [{"n": 1}]
        assert asked[-1] == ("/there", "Bearer s3cret")
    monkeypatch.setenv("API_TOKEN", "s3\ncret")
    with pytest.raises(UsageProblem, match="API_TOKEN holds what no header can") as raised:
        read("http://127.0.0.1:1/", token)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "pages", "told"),
    [
        (
            b'{"rows": [], "next": 2}',
            Pages(records=("rows",), next=("next",)),
            "`next` is 2, which is no address",
        ),
        (b'{"rows": [], "next": "http://[x"}', Pages(records=("rows",), next=("next",)), "next page is none"),
        (b'{"rows": null}', Pages(records=("rows",)), "no list of rows"),
        (b"<html>log in</html>", Pages(), "no JSON"),
        (b"\xff\xfe\xfa", Pages(), "no JSON"),
    ],
)
def test_pages_of_another_shape_are_told(body: bytes, pages: Pages, told: str) -> None:
    with saying(Said(body)) as (url, _), pytest.raises(Problem, match=told):
        read(url, pages)


@pytest.mark.parametrize("url", ["http://user:pw@127.0.0.1/x", "http://127.0.0.1:port/x", "http://[::1/x"])
def test_an_address_that_is_none_is_told_without_its_secrets(url: str) -> None:
    with pytest.raises(UsageProblem, match="no address of HTTP") as raised:
        read(url)
    assert "pw" not in str(raised.value)


def test_a_packed_answer_is_unpacked() -> None:
    with saying(Said(gzip.compress(GOOD.body), headers={"Content-Encoding": "gzip"})) as (url, _):
        assert read(url) == [{"n": 1}]


def test_numbers_keep_their_digits(database: Database, tmp_path: Path) -> None:
    body = b'[{"id": 1, "price": 12345678901234567.891, "edition": 1.10, "extra": {"a": [0.10, 1e400]}}]'
    with saying(Said(body)) as (url, _):
        text = f"""
pattern: snapshot
sources: [{{name: s, url: "{url}", columns: {{id: int, price: numeric, edition: text, extra: jsonb}}}}]
targets: [{{table: w.s, key: [id]}}]
"""
        do(database, tmp_path, text)
    price, edition, digits = ask(database, "SELECT price, edition, extra #>> '{a,0}' FROM w.s")[0]
    assert (price, edition, digits) == (Decimal("12345678901234567.891"), "1.10", "0.10")
