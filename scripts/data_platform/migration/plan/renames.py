"""Tables that get another name or schema: at once, with a view that answers to the old name."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import slug, spoken
from data_platform.model.database import Name, Table
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import role
from data_platform.sql.text import Sql, identifier, identifiers, qualified_name

SECURITY_INVOKER_SINCE = 15


def first(pair: Pair) -> Iterator[Step | Refusal]:
    """Renames that the author told; the catalog is read again before the rest is planned."""
    old_tables = {table.name: table for table in pair.before.tables}
    new_tables = {table.name for table in pair.after.tables}
    for new, old in pair.hints.tables.items():
        if old not in old_tables or new not in new_tables:
            where = "old" if old not in old_tables else "new"
            missing = old if old not in old_tables else new
            yield Refusal(
                what=f"rename of {spoken(old)} to {spoken(new)}",
                why=f"the {where} schema has no table {spoken(missing)}",
                fix="check the names",
            )
        else:
            yield _renamed(pair, old_tables[old], new)


def _renamed(pair: Pair, table: Table, new: Name) -> Step:
    old = table.name
    forth, back = list(_moves(old, new)), list(_moves(new, old))
    made, gone = _schema(pair, new)
    numbers, numbers_back = _sequences(pair, table, new)
    view = qualified_name(old)
    return Step(
        name=slug("rename", old, "to", new),
        phase="expand",
        reason=f"Only the catalog changes. In the same transaction a view takes the old name, so that a client may say "
        f"{spoken(old)} or {spoken(new)}, to read and to write.",
        up=(
            *made,
            *forth,
            *numbers,
            Sql(f"CREATE VIEW {view}{_invoker(pair.version)} AS TABLE {qualified_name(new)}"),
            *_grants(pair, old),
        ),
        down=(Sql(f"DROP VIEW IF EXISTS {view}"), *numbers_back, *back, *gone),
        again="there is no table of the old name any more (42809); nothing is changed",
    )


def _schema(pair: Pair, new: Name) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
    """The schema that the table goes to, where there is none yet."""
    if new.schema in (*pair.before.schemas, "public"):
        return (), ()
    name = identifier(new.schema)
    return (Sql(f"CREATE SCHEMA IF NOT EXISTS {name}"),), (Sql(f"DROP SCHEMA IF EXISTS {name}"),)


def _moves(old: Name, new: Name) -> Iterator[Sql]:
    here = old
    if old.schema != new.schema:
        yield Sql(f"ALTER TABLE {qualified_name(old)} SET SCHEMA {identifier(new.schema)}")
        here = Name(new.schema, old.name)
    if old.name != new.name:
        yield Sql(f"ALTER TABLE {qualified_name(here)} RENAME TO {identifier(new.name)}")


def _sequences(pair: Pair, table: Table, new: Name) -> tuple[list[Sql], list[Sql]]:
    """Sequences that are called after the table get the name that they would have been given."""
    forth, back = [], []
    wanted = {sequence.name for sequence in pair.after.sequences}
    owned = {
        one.name: one.owned_by
        for one in pair.before.sequences
        if one.owned_by and one.owned_by[0] == table.name
    }
    for column in table.columns:
        before = Name(table.name.schema, default_name(table.name.name, column.name, "seq"))
        after = Name(new.schema, default_name(new.name, column.name, "seq"))
        is_serial = before in owned and after in wanted
        is_identity = column.identity is not None and column.sequence_name is None
        if before.name != after.name and (is_serial or is_identity):
            forth.append(
                Sql(
                    f"ALTER SEQUENCE {qualified_name(Name(new.schema, before.name))} RENAME TO {identifier(after.name)}"
                )
            )
            back.append(Sql(f"ALTER SEQUENCE {qualified_name(after)} RENAME TO {identifier(before.name)}"))
    return forth, back


def _invoker(version: int) -> str:
    """Row security of the table holds for whoever asks, not for the view's owner."""
    return " WITH (security_invoker = true)" if version >= SECURITY_INVOKER_SINCE else ""


def _grants(pair: Pair, old: Name) -> Iterator[Sql]:
    """What roles may do with the table they may do with the view."""
    name = qualified_name(old)
    for grant in pair.before.grants:
        if grant.kind != "table" or grant.revoked or grant.object not in (name, str(old)):
            continue
        privileges = [word for word in grant.privileges if word in ("SELECT", "INSERT", "UPDATE", "DELETE")]
        columns = f" ({identifiers(grant.columns)})" if grant.columns else ""
        if privileges:
            said = ", ".join(f"{word}{columns}" for word in privileges)
            yield Sql(f"GRANT {said} ON {name} TO {role(grant.role)}")
