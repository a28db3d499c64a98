"""Tables: new ones with all that hangs on them, those that are gone, and what changes of the others as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from data_platform.ddl.around import around
from data_platform.ddl.clauses import constraint_clause
from data_platform.ddl.piece import PartKey, Piece
from data_platform.ddl.tables import hanging_pieces, late_pieces, table_pieces
from data_platform.migration.plan import moved
from data_platform.migration.plan.not_null import NOT_NULL_CONSTRAINTS_SINCE, not_null_name
from data_platform.migration.plan.pair import Pair, changes, tables_of_both
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import (
    alter_table,
    bare,
    beside,
    in_schema,
    renamed_or_lost,
    slug,
    spoken,
)
from data_platform.model.database import (
    Database,
    Exclusion,
    ForeignKey,
    Index,
    Name,
    NotNull,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.order import in_dependency_order
from data_platform.sql.references import Reference, References
from data_platform.sql.text import Sql, identifier, options, qualified_name

Part = TypeVar("Part", PrimaryKey, Unique, Exclusion, Index)


def new(pair: Pair) -> Iterator[Step]:
    """Tables that only the new schema has; partitions of tables that are there already are for `partitions`."""
    there = {table.name for table in pair.before.tables}
    made = [table for table in pair.after.tables if table.name not in there and not _joins(table, there)]
    yield from _names_freed(pair)
    yield from created(pair.after, made, pair.version)


def _names_freed(pair: Pair) -> Iterator[Step]:
    """Keys and indexes of lost tables give up names that others need before the tables are gone."""
    for table, name in _freed(pair):
        forth, back = ((in_schema(table, a), identifier(b)) for a, b in _both_ways(name))
        yield Step(
            name=slug("free", name),
            phase="expand",
            reason=f"Another index needs this name, and {spoken(table)} only goes in contract.",
            up=(Sql(f"ALTER INDEX {forth[0]} RENAME TO {forth[1]}"),),
            down=(Sql(f"ALTER INDEX {back[0]} RENAME TO {back[1]}"),),
            again="there is no index of the old name any more (42P01); nothing is changed",
            drops=(Reference("relation", table.schema, name),),
        )


def _both_ways(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    spare = beside(name, "old")
    return (name, spare), (spare, name)


def _freed(pair: Pair) -> list[tuple[Name, str]]:
    kept = {table.name for table in pair.after.tables}
    wanted = {(table.name.schema, name) for table in pair.after.tables for name in _index_names(table)}
    lost = [
        table for table in pair.before.tables if table.name not in kept and pair.hints.may_lose(table.name)
    ]
    return [(t.name, name) for t in lost for name in _index_names(t) if (t.name.schema, name) in wanted]


def _index_names(table: Table) -> Iterator[str]:
    parts = (table.primary_key, *table.uniques, *table.exclusions, *table.indexes)
    yield from (part.name for part in parts if part is not None)


def _with_spare_names(table: Table, freed: Collection[str]) -> Table:
    """The table as it is once its names have been given up."""

    def named(part: Part) -> Part:
        return replace(part, name=beside(part.name, "old")) if part.name in freed else part

    return replace(
        table,
        primary_key=named(table.primary_key) if table.primary_key else None,
        uniques=tuple(map(named, table.uniques)),
        exclusions=tuple(map(named, table.exclusions)),
        indexes=tuple(map(named, table.indexes)),
    )


def _joins(table: Table, there: set[Name]) -> bool:
    return table.partition_of is not None and table.partition_of.table in there


def created(database: Database, tables: Iterable[Table], version: int) -> Iterator[Step]:
    """The tables, each with its indexes and keys in one transaction, as no client knows it yet.

    Foreign keys come one by one after them: each locks another table for a moment.
    """
    order = in_dependency_order(tables)
    late = frozenset(_late(order.tables))
    surroundings = around(database, late, version)
    for table in order.tables:
        yield from _created(table, list(table_pieces(table, surroundings)))
    for table in order.tables:
        for number, piece in enumerate(late_pieces(table, surroundings)):
            yield _piece_step(table, piece, number)
    for table in order.tables:
        pieces = list(hanging_pieces(table, surroundings))
        if pieces:
            yield _hanging(table, pieces)


def _late(tables: Iterable[Table]) -> Iterator[PartKey]:
    for table in tables:
        for key in table.foreign_keys:
            yield "constraint", str(table.name), key.name


def _created(table: Table, pieces: list[Piece]) -> Iterator[Step]:
    first = [piece for piece in pieces if not _calls(piece)]
    last = [piece for piece in pieces if _calls(piece)]
    keys = (table.primary_key, *table.uniques, *table.exclusions)
    names = tuple(Reference("relation", table.name.schema, key.name) for key in keys if key)
    made = (*_of_all(piece.makes for piece in first), *names)
    yield Step(
        name=slug("create", table.name),
        phase="expand",
        reason="No client knows the table yet, so nothing waits for it.",
        up=tuple(bare(piece.statement.sql) for piece in first),
        down=(
            Sql(
                f"DROP {'FOREIGN TABLE' if table.foreign else 'TABLE'} IF EXISTS {qualified_name(table.name)}"
            ),
        ),
        again="the table is there already (42P07); nothing is changed",
        makes=made,
        needs=_without(
            _of_all((*piece.needs, *(r for p in piece.parts for r in p.needs)) for piece in first), made
        ),
    )
    for number, piece in enumerate(last):
        yield _piece_step(table, piece, number)


def _calls(piece: Piece) -> bool:
    return piece.statement.object.startswith(("trigger ", "comment on trigger "))


def _piece_step(table: Table, piece: Piece, number: int) -> Step:
    made = piece.statement.object
    return Step(
        name=slug(made if "foreign key" in made else f"{made}_{number}"),
        phase="expand",
        reason="The new table has no rows, so there is nothing to check; a foreign key locks its target for a moment.",
        up=(bare(piece.statement.sql),),
        one_way="it goes with the table",
        again="it is there already; nothing is changed",
        needs=(*piece.needs, Reference("relation", table.name.schema, table.name.name)),
        makes=piece.makes,
    )


def _hanging(table: Table, pieces: list[Piece]) -> Step:
    return Step(
        name=slug("security", table.name),
        phase="expand",
        reason="Policies and rules come once everything is there that they name.",
        up=tuple(bare(piece.statement.sql) for piece in pieces),
        one_way="it goes with the table",
        again="the policies are there already (42710); nothing is changed",
        needs=(
            *_of_all(piece.needs for piece in pieces),
            Reference("relation", table.name.schema, table.name.name),
        ),
    )


def _of_all(references: Iterable[References]) -> References:
    return tuple(dict.fromkeys(reference for some in references for reference in some))


def _without(needs: References, made: References) -> References:
    return tuple(reference for reference in needs if reference not in made)


# --- gone ---


def gone(pair: Pair) -> Iterator[Step | Refusal]:
    """Tables that only the old schema has; partitions go with their parent, or are for `partitions`."""
    kept = {table.name for table in pair.after.tables}
    freed = [name for _, name in _freed(pair)]
    lost = [_with_spare_names(table, freed) for table in pair.before.tables if table.name not in kept]
    for table in lost:
        if table.partition_of is not None:
            continue
        if table.name in moved.moved_tables(pair):
            for step in _dropped(pair, table, lost):
                yield moved.without_loss(pair, step, table=table.name) if step.lost else step
            continue
        if not pair.hints.may_lose(table.name):
            name = spoken(table.name)
            yield Refusal(
                what=f"table {name}",
                why="its rows would be lost",
                fix=renamed_or_lost(name),
            )
            continue
        yield from _dropped(pair, table, lost)


def _dropped(pair: Pair, table: Table, lost: list[Table]) -> Iterator[Step]:
    parts = [one for one in lost if _under(one, table, lost)]
    object_ = qualified_name(table.name)
    kind = "FOREIGN TABLE" if table.foreign else "TABLE"
    bare_tables = [_made_alone(one, pair.version) for one in (table, *parts)]
    again = created(pair.before, bare_tables, pair.version)
    for one in (table, *parts):
        for key in one.foreign_keys:
            yield _key_dropped(one, key)
    yield Step(
        name=slug("drop", table.name),
        phase="contract",
        reason="Nobody uses it any more: the lock is short, the files go at once.",
        up=(Sql(f"DROP {kind} IF EXISTS {object_}"),),
        down=tuple(sql for step in again for sql in step.up),
        lost=(str(table.name),) if table.holds_rows else (),
        keep=f"pg_dump --table={object_} … > {identifier(table.name.name)}.sql, or ALTER TABLE {object_} RENAME TO "
        f"{identifier(beside(table.name.name, 'kept'))}; and drop it later",
        ends_old=True,
        drops=tuple(_names(pair, [table, *parts])),
        frees=_needed(pair, table),
    )


def _made_alone(table: Table, version: int) -> Table:
    """Without its foreign keys; NOT NULLs say their names, which PostgreSQL would not give while others have them."""
    if version < NOT_NULL_CONSTRAINTS_SINCE or table.partition_of is not None:
        return replace(table, foreign_keys=())
    columns = tuple(
        column
        if column.nullable or column.inherited
        else replace(
            column, not_null=replace(column.not_null or NotNull(), name=not_null_name(table.name, column))
        )
        for column in table.columns
    )
    return replace(table, foreign_keys=(), columns=columns)


def _key_dropped(table: Table, key: ForeignKey) -> Step:
    """The foreign keys of tables that go are taken off first, and put on last on the way back."""
    return Step(
        name=slug("drop", key.name),
        phase="contract",
        reason=f"Locks {spoken(key.target)} as well, for a moment; so it comes before the table and by itself.",
        up=(alter_table(table.name, Sql(f"DROP CONSTRAINT IF EXISTS {identifier(key.name)}")),),
        down=(alter_table(table.name, Sql(f"ADD {constraint_clause(key)}")),),
        ends_old=True,
        frees=tuple(Reference("relation", name.schema, name.name) for name in (key.target, table.name)),
    )


def _names(pair: Pair, tables: Iterable[Table]) -> Iterator[Reference]:
    """Every name that is free once the tables are gone."""
    for table in tables:
        schema = table.name.schema
        yield from (Reference(kind, schema, table.name.name) for kind in ("relation", "type"))
        keys = (table.primary_key, *table.uniques, *table.exclusions, *table.indexes)
        yield from (Reference("relation", schema, key.name) for key in keys if key)
        owned = (one for one in pair.before.sequences if one.owned_by and one.owned_by[0] == table.name)
        yield from (Reference("relation", one.name.schema, one.name.name) for one in owned)


def _under(one: Table, parent: Table, tables: list[Table]) -> bool:
    by_name = {table.name: table for table in tables}
    above = one.partition_of
    while above is not None:
        if above.table == parent.name:
            return True
        holder = by_name.get(above.table)
        above = holder.partition_of if holder else None
    return False


def _needed(pair: Pair, table: Table) -> References:
    """What the table was made of: types, functions of its defaults and triggers."""
    surroundings = around(pair.before, frozenset(_late([table])), pair.version)
    pieces = (*table_pieces(table, surroundings), *hanging_pieces(table, surroundings))
    own = Reference("relation", table.name.schema, table.name.name)
    found = _of_all((*piece.needs, *(r for p in piece.parts for r in p.needs)) for piece in pieces)
    return tuple(reference for reference in found if reference != own)


# --- changed as a whole ---


def settings(pair: Pair) -> Iterator[Step]:
    """Storage parameters, replica identity, CLUSTER ON, inheritance, options of foreign tables."""
    for old, new_ in tables_of_both(pair):
        forth, back = list(_actions(old, new_)), list(_actions(new_, old))
        for number, (up, down) in enumerate(zip(forth, back, strict=True)):
            yield Step(
                name=slug("settings", new_.name, number or ""),
                phase="expand",
                reason="Only the catalog changes; it holds for what is written from now on.",
                up=(up,),
                down=(down,),
            )


def _actions(old: Table, new_: Table) -> Iterator[Sql]:
    if old.options != new_.options:
        yield alter_table(new_.name, *_option_actions(old, new_))
    if old.replica_identity != new_.replica_identity:
        yield alter_table(new_.name, _identity(new_))
    if old.cluster_on != new_.cluster_on:
        how = f"CLUSTER ON {identifier(new_.cluster_on)}" if new_.cluster_on else "SET WITHOUT CLUSTER"
        yield alter_table(new_.name, Sql(how))
    found = changes(old.inherits, new_.inherits, key=lambda name: name)
    if found.added or found.removed:
        yield alter_table(
            new_.name,
            *(Sql(f"NO INHERIT {qualified_name(parent)}") for parent in found.removed),
            *(Sql(f"INHERIT {qualified_name(parent)}") for parent in found.added),
        )


def _option_actions(old: Table, new_: Table) -> Iterator[Sql]:
    missing = [key for key, _ in old.options if key not in dict(new_.options)]
    if missing:
        yield Sql(f"RESET ({', '.join('.'.join(map(identifier, key.split('.'))) for key in missing)})")
    for key, value in new_.options:
        if dict(old.options).get(key) != value:
            prefix, _, name = key.rpartition(".")
            said = options(((name, value),))
            yield Sql(f"SET ({identifier(prefix)}.{said})" if prefix else f"SET ({said})")


def _identity(table: Table) -> Sql:
    word = table.replica_identity
    plain = word in ("default", "full", "nothing")
    return Sql(f"REPLICA IDENTITY {word.upper() if plain else f'USING INDEX {identifier(word)}'}")
