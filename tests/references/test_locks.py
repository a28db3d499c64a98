"""The lock tables say what this server does, statement by statement."""

from __future__ import annotations

from data_platform.postgres.server import Server

from . import locks


def test_the_tables_are_what_the_server_does(server: Server) -> None:
    text = locks.PAGE.read_text(encoding="utf-8")
    again = locks.page(text, locks.made(server))
    assert text == again, "run python tests/references/locks.py, and read what has changed"


def test_each_statement_stands_there_once() -> None:
    _, wanted = locks.cases((locks.ROOT / "tests/references/locks.sql").read_text(encoding="utf-8"))
    shown = [locks.shown(case) for case in wanted]
    assert len(shown) == len(set(shown)) >= 70
