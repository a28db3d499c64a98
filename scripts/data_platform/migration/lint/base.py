"""The state that a migration starts from, as SQL files make it; `described` has it from a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from data_platform.errors import UsageProblem
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
        _deploy(state, script)
    return state


def since(scripts: Iterable[Script], first: str, state: State) -> Iterator[Script]:
    """The scripts from `first` on; what those before it make is put into the state, as there before.

    Raises UsageProblem when there is none of that name.
    """
    passed: list[str] = []
    waiting = iter(scripts)
    for script in waiting:
        if script.file == first or script.file.endswith(f"/{first}"):
            yield script
            yield from waiting
            return
        _deploy(state, script)
        passed.append(script.file)
    raise UsageProblem(f"--since {first}: no such file among these", expected=", ".join(passed[-5:]))


def _deploy(state: State, script: Script) -> None:
    """Put what the script makes into the state, as there before."""
    for statement in script.statements:
        advance(state, statement.node, None)
    state.unread += sum(fault.error for fault in script.faults)
    state.search_path = ("public",)


def from_database(database: Database) -> State:
    """What a model or a server's catalog holds; only this needs the whole of the model's classes."""
    from data_platform.migration.lint.described import described  # noqa: PLC0415

    return described(database)
