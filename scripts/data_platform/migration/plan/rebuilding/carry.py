"""The trigger that carries every change of a table over to its copy.

It makes the copy's row what the table's is *now*, whichever event it was called for: a user's trigger may have changed
the row again meanwhile, and then the events come in another order than the changes. With a copier that takes rows FOR
SHARE no change is lost: who changes a row before the copier has it is waited for, who changes it later finds it copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_platform.migration.plan.rebuilding.trees import Trees
from data_platform.migration.plan.rebuilding.values import Given, Key, given
from data_platform.migration.plan.text import alter_table, beside
from data_platform.model.database import ForeignKey, Name, Table
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, body, identifier, joined, qualified, qualified_name, relation_literal


def carrier(trees: Trees, label: str) -> Name:
    """The name of the function, and of its trigger."""
    return Name(trees.name.schema, beside(trees.name.name, label))


def carried(trees: Trees, key: Key, source: Name, into: Name, label: str) -> Iterator[Sql]:
    """From now on what is written to `source`, the old table, is written to `into` as well."""
    function = carrier(trees, label)
    if trees.old.table.row_security != "off":
        yield _guard(source)
    source_text = render("migration/carry_over.sql.j2", **_texts(trees, key, source, into))
    path = tuple(dict.fromkeys(("pg_catalog", "public", trees.name.schema, "pg_temp")))
    yield render("migration/carry_function.sql.j2", function=function, path=path, source=f"\n{source_text}\n")
    yield from _triggers(function, source)


def _guard(source: Name) -> Sql:
    """Rows that a policy hides would be neither copied nor carried over."""
    message = f"row security hides rows of {source} from this role: they would be missing in the new table"
    block = render("migration/sees_all_rows.sql.j2", table=relation_literal(source), message=message)
    return Sql(f"DO {body(f'{chr(10)}{block}{chr(10)}')}")


def _triggers(function: Name, source: Name) -> Iterator[Sql]:
    """One for rows and one for TRUNCATE. ALWAYS: what a replication worker writes is to be carried over too."""
    table = qualified_name(source)
    for events, level, name in (
        ("INSERT OR UPDATE OR DELETE", "ROW", function.name),
        ("TRUNCATE", "STATEMENT", beside(function.name, "all")),
    ):
        trigger = identifier(name)
        yield Sql(
            f"CREATE TRIGGER {trigger} AFTER {events} ON {table}\n"
            f"    FOR EACH {level} EXECUTE FUNCTION {qualified_name(function)}()"
        )
        yield alter_table(source, Sql(f"ENABLE ALWAYS TRIGGER {trigger}"))


def not_carried(trees: Trees, source: Name, label: str) -> Iterator[Sql]:
    """The reverse of it."""
    function = carrier(trees, label)
    for name in (function.name, beside(function.name, "all")):
        yield Sql(f"DROP TRIGGER IF EXISTS {identifier(name)} ON {qualified_name(source)}")
    yield Sql(f"DROP FUNCTION IF EXISTS {qualified_name(function)}()")


def let_go(trees: Trees, source: Name, label: str) -> Iterator[Sql]:
    """The same for a table in use: DROP TRIGGER locks partitions before their parent, clients the other way."""
    yield Sql(f"LOCK TABLE {qualified_name(source)} IN ACCESS EXCLUSIVE MODE")
    yield from not_carried(trees, source, label)


def _texts(trees: Trees, key: Key, source: Name, into: Name) -> dict[str, object]:
    rows = given(trees)
    alias = identifier(source.name)
    return {
        "table": source,
        "alias": source.name,
        "into": into,
        "columns": [one.column.name for one in rows],
        "values": [one.value for one in rows],
        "key": key.columns,
        "old_key": [Sql(f"OLD.{identifier(column)}") for column in key.sources],
        "new_key": [Sql(f"NEW.{identifier(column)}") for column in key.sources],
        "is_old": _equal(alias, key.sources, "OLD", key.sources),
        "is_new": _equal(alias, key.sources, "NEW", key.sources),
        "copy_is_old": _equal("dpe_copy", key.columns, "OLD", key.sources),
        "there_is_new": _equal("dpe_there", key.columns, "NEW", key.sources),
        "moves": [
            Sql(f"{identifier(c)} = NEW.{identifier(s)}")
            for c, s in zip(key.columns, key.sources, strict=True)
        ],
        "assignments": list(_assignments(rows, key)),
        "deferred": list(deferrable(trees.new.standing_in[0], trees.name)),
    }


def _equal(one: str, columns: Sequence[str], other: str, sources: Sequence[str]) -> Sql:
    pairs = zip(columns, sources, strict=True)
    return joined(" AND ", (Sql(f"{one}.{identifier(c)} = {other}.{identifier(s)}") for c, s in pairs))


def _assignments(rows: Sequence[Given], key: Key) -> Iterator[Sql]:
    """The key's columns where there is nothing else."""
    names = [one.column.name for one in rows if one.column.name not in key.columns] or list(key.columns[:1])
    yield from (Sql(f"{identifier(name)} = EXCLUDED.{identifier(name)}") for name in names)


def deferrable(stand_in: Table, name: Name) -> Iterator[Sql]:
    """Keys of the copy that may wait until the transaction ends, as rows come to it one by one."""
    keys = (stand_in.primary_key,) if stand_in.primary_key else ()
    for one in (*keys, *stand_in.uniques, *stand_in.exclusions):
        if one.deferral != "not deferrable":
            yield qualified(name.schema, one.name)


def refers_to_itself(table: Table, key: ForeignKey) -> bool:
    """Whether a foreign key's rows are those of its own table."""
    return key.target == table.name
