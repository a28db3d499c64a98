"""The state that a migration starts from, as SQL files make it; `described` has it from a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from data_platform.migration.files import Script, scan
from data_platform.migration.lint.advance import advance
from data_platform.migration.lint.state import State

if TYPE_CHECKING:
    from data_platform.model.database import Database


def nothing_known() -> State:
    """Where no schema is given."""
    return State()


def from_files(paths: Sequence[str]) -> State:
    """What the SQL in files makes, statements that are no SQL left out."""
    return from_scripts(scan(paths, "as-written"))


def from_scripts(scripts: Iterable[Script]) -> State:
    """What the statements of scripts make."""
    state = State(complete=True)
    for script in scripts:
        for statement in script.statements:
            advance(state, statement.node, None)
        state.unread += sum(fault.error for fault in script.faults)
        state.search_path = ("public",)
    return state


def from_database(database: Database) -> State:
    """What a model or a server's catalog holds; only this needs the whole of the model's classes."""
    from data_platform.migration.lint.described import described  # noqa: PLC0415

    return described(database)
