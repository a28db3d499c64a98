"""What files do when they run: their statements by transaction, as our own reader finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

from data_platform.migration.files import Statement, read
from data_platform.migration.formats.context import Files
from data_platform.migration.tools import Direction

SQL_FORMATS = ("plain", "flyway", "liquibase", "dbmate", "golang-migrate", "goose", "sqitch", "prisma")
_OURS = ("variable_set_stmt", "transaction_stmt")

Run = tuple[bool, tuple[str, ...]]
"""Whether the statements share a transaction, and they."""


def written(files: Files, root: Path) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8", newline="")
    return root


def order(path: PurePosixPath) -> list[int]:
    """By version, wherever the file waits."""
    return [
        int(number)
        for number in re.findall(r"\d+", re.sub(r"^(.*?)(contract/)?(migrations/)?", "", str(path)))
    ]


def scripts(files: Files, tool: str, direction: Direction) -> list[PurePosixPath]:
    """The files that run in this direction, in the order in which they do."""
    found = [path for path in files if _runs(path, tool, direction)]
    return found if direction == "up" else found[::-1]


def _runs(path: PurePosixPath, tool: str, direction: Direction) -> bool:
    if path.suffix != ".sql":
        return False
    if tool in ("dbmate", "goose", "liquibase"):
        return True
    down = {
        "plain": path.name.endswith(".rollback.sql"),
        "flyway": path.name.startswith("U"),
        "golang-migrate": path.name.endswith(".down.sql"),
        "prisma": path.name == "down.sql",
        "sqitch": path.parent.name == "revert",
    }[tool]
    return (down == (direction == "down")) and path.parent.name != "verify"


def runs(files: Files, tool: str, root: Path, direction: Direction) -> Iterator[Run]:
    """What is run, without the limits that we set around it."""
    for path in scripts(files, tool, direction):
        undo = direction == "down" and tool not in ("dbmate", "goose")
        if undo and tool == "liquibase":
            yield from _rolled_back(files[path], root)
            continue
        if undo and tool == "flyway":
            yield from _as_versioned(files, path, root)
            continue
        by_mark = direction if not undo or tool in ("plain", "golang-migrate", "prisma") else "up"
        yield from _grouped(read([str(root / path)], direction=by_mark))


def _as_versioned(files: Files, path: PurePosixPath, root: Path) -> Iterator[Run]:
    """An undo under the name of a version: our reader knows Flyway's transaction by that."""
    file = root / "undo" / f"V{path.name[1:]}"
    written(
        {
            PurePosixPath("undo", f"V{path.name[1:]}{end}"): files[path.with_name(path.name + end)]
            for end in ("", ".conf")
        },
        root,
    )
    yield from _grouped(read([str(file)]))


def _rolled_back(text: str, root: Path) -> Iterator[Run]:
    """The lines after `-- rollback`, in a file of their own with the options of their changeset."""
    lines = [line.removeprefix("-- rollback ") for line in text.split("\n") if line.startswith("-- rollback")]
    changeset = next(line for line in text.split("\n") if line.startswith("-- changeset"))
    if lines != ["not required"]:
        file = root / "rollback-of-one.sql"
        file.write_text("\n".join(["-- liquibase formatted sql", changeset, *lines]), encoding="utf-8")
        yield from _grouped(read([str(file)]))


def _grouped(statements: tuple[Statement, ...]) -> Iterator[Run]:
    for transaction, group in groupby(statements, lambda one: one.transaction):
        kept = [one.sql for one in group if one.node.WhichOneof("node") not in _OURS]
        if transaction is None:
            yield from ((False, (sql,)) for sql in kept)
        elif kept:
            yield (True, tuple(kept))
