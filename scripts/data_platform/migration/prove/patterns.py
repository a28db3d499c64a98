"""What the application asks, before the migration and after each of its statements: which queries break when.

The access patterns of the old model and of the new one are prepared and planned on a copy with a few rows; a query
that names what is not there, or compares what cannot be compared, is refused by the server then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import psycopg

from data_platform.migration.files import Statement
from data_platform.migration.prove import run
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.result import PatternFate
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Blind
from data_platform.model.design import AccessPattern, Design
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.sql.text import identifiers, type_name

Connection = psycopg.Connection[Any]
Which = Literal["old", "new"]


def fates(
    copies: Copies, source: Database, statements: Sequence[Statement], models: Sequence[tuple[Which, Design]]
) -> tuple[PatternFate, ...]:
    """Every pattern of the models, tried before the first statement and after each (at the end of its transaction)."""
    asked = [(which, design, pattern) for which, design in models for pattern in design.access_patterns]
    if not asked:
        return ()
    errors: list[dict[int, str]] = [{} for _ in asked]
    works: list[list[bool]] = [[] for _ in asked]
    with copies.copy(source) as copy, connect(copy.conninfo, read_only=False) as client:
        client.prepare_threshold = None

        def ask(moment: int) -> None:
            for place, (_, design, pattern) in enumerate(asked):
                said = _tried(client, design, pattern)
                works[place].append(said is None)
                if said is not None:
                    errors[place][moment] = said

        ask(0)
        with open_session(copy) as session:
            runner = run.Runner(session, Blind(), retries=0)
            for group in run.groups(statements):
                runner.run_group(group)
                for statement in group.statements:
                    ask(statement.number)
    return tuple(
        PatternFate(name=pattern.name, model=which, works=tuple(works[place]), errors=errors[place])
        for place, (which, _, pattern) in enumerate(asked)
    )


def _tried(client: Connection, design: Design, pattern: AccessPattern) -> str | None:
    """What the server has against the query; None for nothing."""
    types = ", ".join(type_name(parameter.type) for parameter in pattern.parameters)
    nulls = ", ".join("NULL" for _ in pattern.parameters)
    try:
        with client.transaction(force_rollback=True):
            client.execute(f"SET LOCAL search_path TO {identifiers(design.search_path)}".encode())
            client.execute(f"PREPARE dpe_pattern{f' ({types})' if types else ''} AS {pattern.sql}".encode())
            client.execute(f"EXPLAIN EXECUTE dpe_pattern{f' ({nulls})' if nulls else ''}".encode())
    except psycopg.Error as error:
        return f"{error.sqlstate} {error.diag.message_primary or error}"
    finally:
        client.execute("DEALLOCATE ALL")
    return None
