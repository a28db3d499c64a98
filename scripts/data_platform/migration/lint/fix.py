"""What `--fix` writes: safe forms in the place of statements, and a lock_timeout where one is missing."""

from __future__ import annotations

from data_platform.migration.files import Script, Statement
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.effects.objects import has_option
from data_platform.migration.lint.lint import Linted
from data_platform.sql.text import parse

TIMEOUT = "400ms"


def fixed(linted: Linted) -> tuple[bytes, int]:
    """The file with what can be made safe made safe, and how many statements that were.

    Only statements outside transactions get another form, since most safe forms commit in between. A lock_timeout
    goes before the first statement that needs it, and off before CONCURRENTLY, which must be free to wait.
    """
    forms = _forms(linted)
    raw, on, count = linted.script.raw, False, 0
    pieces: list[bytes] = []
    done = 0
    transaction: int | None = None
    for statement in linted.script.statements:
        if statement.transaction != transaction:
            on, transaction = (
                on and transaction is None and statement.transaction is None,
                statement.transaction,
            )
        units, on = _units(statement, forms.get(statement.number), statement.number in linted.unbounded, on)
        end = statement.offset + len(statement.sql.encode())
        if len(units) == 1 or raw[statement.offset : end] != statement.sql.encode():
            continue
        pieces += [raw[done : statement.offset], _joined(linted.script, units).encode()]
        done, count = end, count + 1
    return b"".join([*pieces, raw[done:]]), count


def _forms(linted: Linted) -> dict[int, tuple[str, ...]]:
    """The safe form of each statement: that of the first rule that has one."""
    return {safe.statement.number: safe.statements for safe in reversed(linted.safe)}


def _units(
    statement: Statement, form: tuple[str, ...] | None, unbounded: bool, on: bool
) -> tuple[list[str], bool]:
    units: list[str] = []
    for unit in form or (statement.sql,):
        concurrently = _waits_freely(unit)
        if concurrently and on:
            units.append("RESET lock_timeout")
            on = False
        elif unbounded and not on and not concurrently:
            units.append(f"SET {'' if statement.transaction is None else 'LOCAL '}lock_timeout = '{TIMEOUT}'")
            on = True
        units.append(unit)
    if form and len(units) == 1:  # one statement for another: the caller counts it as a change too
        units.insert(0, "")
    return units, on


def _joined(script: Script, units: list[str]) -> str:
    return ";\n".join(unit for unit in units if unit)


def _waits_freely(sql: str) -> bool:
    """Whether the statement runs CONCURRENTLY: a timeout would leave it half done."""
    node = parse(sql).stmts[0].stmt
    kind = node.WhichOneof("node")
    if kind == "index_stmt":
        return bool(node.index_stmt.concurrent)
    if kind == "drop_stmt":
        return bool(node.drop_stmt.concurrent)
    if kind == "alter_table_stmt":
        commands = (item.alter_table_cmd for item in node.alter_table_stmt.cmds)
        return any(definition(command).partition_cmd.concurrent for command in commands)
    return kind == "reindex_stmt" and has_option(node.reindex_stmt.params, "concurrently")
