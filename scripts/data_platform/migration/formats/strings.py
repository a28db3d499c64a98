"""For tools that send a file as one string: what goes into it, and what cannot.

A string of several statements is one transaction of its own. A statement that must be outside of one is alone in its
string; any other gets limits and a transaction, which changes nothing else about it.
"""

from __future__ import annotations

from data_platform.migration.formats.context import Context
from data_platform.migration.formats.notes import why_irreversible
from data_platform.migration.formats.session import refusal, sent, stands_alone
from data_platform.migration.formats.units import Unit
from data_platform.sql.text import Sql


def as_strings(unit: Unit, context: Context) -> tuple[list[Sql], list[Sql]]:
    """What goes up and what goes down; a list of one is a statement that stands alone, others are one transaction."""
    down = (refusal(why_irreversible(unit)),) if unit.irreversible else unit.down
    return _string(unit, context, unit.up), _string(unit, context, down)


def in_transactions(unit: Unit, context: Context) -> tuple[list[Sql], list[Sql]]:
    """The same with BEGIN and COMMIT, where the tool has no transaction of its own around a file."""
    up, down = as_strings(unit, context)
    return _begun(up), _begun(down)


def _begun(statements: list[Sql]) -> list[Sql]:
    return [Sql("BEGIN"), *statements, Sql("COMMIT")] if len(statements) > 1 else statements


def _string(unit: Unit, context: Context, statements: tuple[Sql, ...]) -> list[Sql]:
    if len(statements) == 1 and stands_alone(statements[0]):
        return list(statements)
    return sent(statements, context.patience, transaction=True, blocks=unit.step.blocks is not None)


def outside(unit: Unit, context: Context) -> list[str]:
    """What to say where a statement has no limits in its file."""
    return [_NO_LIMITS] if any(len(one) == 1 for one in as_strings(unit, context)) else []


_NO_LIMITS = (
    "Limits: none, for the statement must be alone. It keeps nobody waiting, and the role's statement_timeout must "
    "let it finish."
)
