"""Operations that give a table a pattern: tenants, soft delete, an audit log, a history; and fills."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.operations.asked import Asked, Unknown
from data_platform.migration.plan.columns import fill_step
from data_platform.model.database import Name
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import condition
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, expression, identifier, literal, qualified_name


def add_tenant(asked: Asked) -> Iterator[str]:
    """A column that says whose row it is, `fill` for those that are there, and policies that nobody gets round.

    The tenant is the session's `setting`; where it is not set nothing is seen.
    """
    column, type_ = asked.text("column"), asked.type()
    table, quoted = asked.table_name, identifier(column)
    asked.told.values[(table, column)] = expression(asked.text("fill"))
    mine = f"{quoted} = NULLIF(current_setting({literal(asked.text('setting'))}, true), '')::{type_}"
    yield asked.alter(f"ADD COLUMN {quoted} {type_} NOT NULL")
    yield f"CREATE INDEX ON {qualified_name(table)} ({quoted})"
    policy = identifier(default_name(table.name, "tenant", "policy"))
    yield f"CREATE POLICY {policy} ON {qualified_name(table)} USING ({mine}) WITH CHECK ({mine})"
    yield asked.alter("ENABLE ROW LEVEL SECURITY")
    yield asked.alter("FORCE ROW LEVEL SECURITY")


def add_soft_delete(asked: Asked) -> Iterator[str]:
    """`deleted_at`, NULL while the row lives, and an index over the living."""
    column = identifier(asked.text("column")) if asked.has("column") else identifier("deleted_at")
    yield asked.alter(f"ADD COLUMN {column} timestamptz")
    key = asked.table.primary_key
    if key is not None:
        name = identifier(default_name(asked.table_name.name, "living", "idx"))
        columns = ", ".join(map(identifier, key.columns))
        yield f"CREATE INDEX {name} ON {qualified_name(asked.table_name)} ({columns}) WHERE {column} IS NULL"


def add_audit(asked: Asked) -> Iterator[str]:
    """Every change of a row, by whom and when, in a table beside."""
    yield from _kept_beside(asked, "audit")


def add_history(asked: Asked) -> Iterator[str]:
    """Every version of a row with the time in which it was valid (SCD type 2), in a table beside."""
    if asked.table.primary_key is None:
        raise Unknown("table", f"{asked.table_name} has no primary key, by which versions belong together")
    yield from _kept_beside(asked, "history")


def _kept_beside(asked: Asked, label: str) -> Iterator[str]:
    table = asked.table
    beside = Name(table.name.schema, default_name(table.name.name, "", label))
    function = Name(table.name.schema, default_name(table.name.name, "", f"to_{label}"))
    key = table.primary_key.columns if table.primary_key else ()
    types = [table.column(name).type for name in key]
    values = {
        "table": table.name,
        "beside": beside,
        "function": function,
        "index": default_name(beside.name, "key", "idx"),
        "trigger": default_name(table.name.name, "", f"to_{label}"),
        "key": [{"name": name, "type": type_} for name, type_ in zip(key, types, strict=True)],
    }
    source = render(f"migration/to_{label}_body.sql.j2", **values)
    yield render(f"migration/{label}_table.sql.j2", **values)
    yield render(f"migration/{label}_index.sql.j2", **values)
    yield render("migration/trigger_function.sql.j2", function=function, source=f"\n{source}\n")
    yield render("migration/kept_beside_trigger.sql.j2", **values)


def backfill(asked: Asked) -> Iterator[str]:
    """Values for rows that are there, in batches; `dpe migration backfill` runs it on a live server."""
    table = asked.table
    values = tuple((str(name), Sql(condition(str(value)))) for name, value in asked.body["set"].items())
    needed = Sql(condition(asked.text("where"))) if asked.has("where") else _not_yet(values)
    asked.told.steps.append(fill_step(table, values, needed))
    yield from ()


def _not_yet(values: tuple[tuple[str, Sql], ...]) -> Sql:
    return Sql(" OR ".join(f"{identifier(name)} IS DISTINCT FROM ({value})" for name, value in values))


OPERATIONS = {one.__name__: one for one in (add_tenant, add_soft_delete, add_audit, add_history, backfill)}
