"""SQL blocks of a Markdown file, read: statements, what must come of each, and as which role they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markdown_it import MarkdownIt

from data_platform.sql.text import NotSql, parse

DIRECTIVE = re.compile(r"-- (?P<key>wrong|needs|as|expect plan not|expect plan|expect): (?P<value>.+)")
_MEANT = re.compile(r"\s*--\s*(wrong|needs\b|as:|expect)", re.IGNORECASE)
"""A comment that begins like a directive and is none would be skipped in silence; it is an error instead."""
_WRONG = re.compile(r"[0-9A-Z]{5}|plan|data")
_PROOF = {"plan": ("expect plan", "expect plan not"), "data": ("expect",)}


class BadBlock(Exception):
    """The block does not keep to the convention."""


@dataclass(frozen=True)
class Step:
    """One statement (`key` is "sql") or one directive; the lines of an `expect` are the rows of a result."""

    line: int
    key: str
    text: str


@dataclass(frozen=True)
class Block:
    """One fence: `wrong` is a SQLSTATE, "plan", "data" or None, `needs` the major version it starts to work in."""

    path: Path
    line: int
    heading: str
    wrong: str | None
    needs: int | None
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.line}"


def read_blocks(path: Path) -> tuple[Block, ...]:
    """Every ```sql fence of a file, in order. Raises BadBlock, also for what is no PostgreSQL."""
    return tuple(_blocks(path, path.read_text(encoding="utf-8")))


def _blocks(path: Path, text: str) -> Iterator[Block]:
    heading, tokens = "", MarkdownIt().parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag in ("h1", "h2"):
            heading = tokens[place + 1].content
        if token.type == "fence" and token.info.strip() == "sql" and token.map:
            yield block(path, token.map[0] + 2, heading, token.content)


def block(path: Path, line: int, heading: str, text: str) -> Block:
    """The block whose first line of SQL is `line` of the file."""
    try:
        steps = tuple(_steps(text, line))
    except (BadBlock, NotSql) as error:
        raise BadBlock(f"{path.name}:{line}: {error}") from None
    first = {step.key: step.text for step in steps[:2] if step.key in ("wrong", "needs")}
    needs = int(first["needs"]) if "needs" in first else None
    made = Block(path, line, heading, first.get("wrong"), needs, steps[len(first) :])
    _check(made)
    return made


def _steps(text: str, line: int) -> Iterator[Step]:
    numbered = [
        (number, *_kind(content, number), content) for number, content in enumerate(text.splitlines(), line)
    ]
    for key, run in groupby(numbered, key=lambda item: item[1]):
        lines = list(run)
        if key == "sql":
            yield from _statements("\n".join(item[3] for item in lines), lines[0][0])
        elif key == "expect":
            yield Step(lines[0][0], key, "\n".join(item[2] for item in lines))
        else:
            yield from (Step(number, key, value) for number, _, value, _ in lines)


def _kind(content: str, number: int) -> tuple[str, str]:
    found = DIRECTIVE.fullmatch(content)
    if found is None and _MEANT.match(content):
        raise BadBlock(f"line {number}: `{content.strip()}` is no directive: {DIRECTIVE.pattern}")
    return (found["key"], found["value"].strip()) if found else ("sql", "")


def _statements(text: str, line: int) -> Iterator[Step]:
    raw = text.encode()
    for statement in parse(text).stmts:
        end = statement.stmt_location + statement.stmt_len if statement.stmt_len else len(raw)
        piece = raw[statement.stmt_location : end].decode()
        before = raw[: statement.stmt_location].decode() + piece[: len(piece) - len(piece.lstrip())]
        yield Step(line + before.count("\n"), "sql", piece.strip())


def _check(made: Block) -> None:
    if made.wrong is not None and not _WRONG.fullmatch(made.wrong):
        raise BadBlock(f"{made.name}: wrong by a SQLSTATE, `plan` or `data`, not {made.wrong!r}")
    keys = [step.key for step in made.steps]
    if {"wrong", "needs"} & set(keys):
        raise BadBlock(f"{made.name}: `wrong` and `needs` stand once, above everything else")
    if made.wrong in _PROOF and not set(_PROOF[made.wrong]) & set(keys):
        raise BadBlock(f"{made.name}: nothing shows that it is wrong by {made.wrong}")
    if next((key for key in keys if key != "as"), None) != "sql":
        raise BadBlock(f"{made.name}: an expectation needs a statement before it")
