"""Columns that are new or gone in a table that both schemas have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_platform.ddl.clauses import column_clause, column_needs, optional_needs, sequence_options
from data_platform.migration.plan import moved
from data_platform.migration.plan.heavy import Outlook
from data_platform.migration.plan.keys import batch_key
from data_platform.migration.plan.not_null import not_null_name, required
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import PHASES, Fill, Phase, Refusal, Step
from data_platform.migration.plan.text import alter_column, alter_table, beside, renamed_or_lost, slug, spoken
from data_platform.model.database import Column, Name, SequenceOptions, Table
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference
from data_platform.sql.text import (
    Sql,
    expression,
    identifier,
    keyword,
    literal,
    qualified_name,
    relation_literal,
)


def added(pair: Pair, table: Table, column: Column) -> Iterator[Step]:
    """A new column: at once where that is instant, else empty, then filled in batches."""
    if (table.name, column.name) in moved.carried(pair):
        return
    column = _with_free_name(table, column)
    plain = alter_table(table.name, Sql(f"ADD COLUMN IF NOT EXISTS {column_clause(column)}"))
    value = pair.hints.values.get((table.name, column.name))
    obliged = is_obliged(column)
    heavy = Outlook(pair.before, pair.version).blocking(plain)
    if column.generated is not None or not (obliged or heavy or value):
        yield _at_once(table, column, plain, heavy)
    elif column.identity is not None:
        yield from _identity(table, column, pair.version)
    else:
        yield from _filled(table, column, value, pair.version, constant=not heavy)


def _with_free_name(table: Table, column: Column) -> Column:
    """Its NOT NULL without a name that another column's has: that is given once the other column is gone."""
    taken = {
        not_null_name(table.name, one)
        for one in table.columns
        if not one.nullable and one.name != column.name
    }
    if column.not_null is None or column.not_null.name not in taken:
        return column
    return replace(column, not_null=replace(column.not_null, name=None))


def is_obliged(column: Column) -> bool:
    """Whether a client that does not write the column cannot insert a row."""
    given = column.default is not None or column.identity is not None or column.generated is not None
    return not column.nullable and not given


def ready(pair: Pair, table: Name, names: Iterable[str]) -> Phase:
    """The first phase in which these columns have their values: a key or an index over them waits until then."""
    known = {one.name: one for one in pair.before.tables}
    after = next((one for one in pair.after.tables if one.name == table), None)
    if table not in known or after is None:
        return "expand"
    there = {column.name for column in known[table].columns}
    found = [
        _ready(pair, known[table], column) for column in after.columns if column.name in {*names} - there
    ]
    return max(found, key=PHASES.index, default="expand")


def _ready(pair: Pair, table: Table, column: Column) -> Phase:
    if (table.name, column.name) in pair.hints.values:
        return "backfill"
    if is_obliged(column):
        return "contract"
    plain = alter_table(table.name, Sql(f"ADD COLUMN {column_clause(column)}"))
    blocks = column.generated is None and Outlook(pair.before, pair.version).blocking(plain)
    return "backfill" if blocks else "expand"


def _at_once(table: Table, column: Column, statement: Sql, heavy: bool) -> Step:
    computed = "a STORED column is computed for every row at once; there is no other form of it"
    return Step(
        name=slug("add", table.name, column.name),
        phase="expand",
        reason="The whole table is written anew: see what it blocks."
        if heavy
        else "Only the catalog changes: the default is kept there and no row is touched."
        if column.default is not None
        else "Only the catalog changes; no row is touched.",
        up=(statement,),
        down=(_dropped(table.name, column.name),),
        blocks=computed if heavy else None,
        needs=(*column_needs(column), *optional_needs(column.default)),
    )


def _dropped(table: Name, column: str) -> Sql:
    return alter_table(table, Sql(f"DROP COLUMN IF EXISTS {identifier(column)}"))


def _filled(
    table: Table, column: Column, value: str | None, version: int, *, constant: bool
) -> Iterator[Step]:
    """The column without what rows would have to be changed for; the default for new rows, values for old ones."""
    at_first = replace(
        column, nullable=True, not_null=None, default=column.default if constant and value is None else None
    )
    actions = [Sql(f"ADD COLUMN IF NOT EXISTS {column_clause(at_first)}")]
    if column.default is not None and at_first.default is None:
        actions.append(alter_column(column.name, f"SET DEFAULT {default(column.default)}"))
    yield Step(
        name=slug("add", table.name, column.name),
        phase="expand",
        reason="Without a value for rows that are there, so that only the catalog changes; new rows get the default."
        if len(actions) > 1
        else "It may be NULL at first: the old application does not write it, and rows that are there have no value.",
        up=(alter_table(table.name, *actions),),
        down=(_dropped(table.name, column.name),),
        needs=(*column_needs(column), *optional_needs(column.default)),
    )
    given = value if value is not None else column.default
    if given is not None and at_first.default is None:
        yield fill_step(table, ((column.name, expression(given)),), Sql(f"{identifier(column.name)} IS NULL"))
    if not column.nullable:
        yield from required(table.name, column, version, "contract" if column.default is None else "backfill")


def fill_step(table: Table, values: tuple[tuple[str, Sql], ...], needed: Sql) -> Step:
    """Values for the rows that are there, in batches."""
    from data_platform.migration.plan.fill import batches  # noqa: PLC0415

    fill = Fill(table=table.name, values=values, needed=needed, key=batch_key(table))
    return Step(
        name=slug("fill", table.name, *(column for column, _ in values)),
        phase="backfill",
        reason="In batches that commit one by one: no row stays locked for longer than its batch, and it can be "
        "stopped and run again.",
        up=batches(fill),
        transaction=False,
        fill=fill,
        one_way="the values stay until their column is dropped; that harms nobody",
    )


def _identity(table: Table, column: Column, version: int) -> Iterator[Step]:
    """Numbers from a sequence for new rows, then for old ones, then the identity in its place."""
    helper = Name(table.name.schema, beside(f"{table.name.name}_{column.name}", "numbers"))
    sequence, literal_ = qualified_name(helper), relation_literal(helper)
    at_first = Column(name=column.name, type=column.type, nullable=True)
    yield Step(
        name=slug("add", table.name, column.name),
        phase="expand",
        reason="An identity column would take a number for every row at once and write the whole table anew. A "
        "sequence of its own numbers new rows from now on.",
        up=(
            Sql(f"CREATE SEQUENCE IF NOT EXISTS {sequence}"),
            alter_table(
                table.name,
                Sql(f"ADD COLUMN IF NOT EXISTS {column_clause(at_first)}"),
                alter_column(column.name, f"SET DEFAULT nextval({literal_}::regclass)"),
            ),
        ),
        down=(_dropped(table.name, column.name), Sql(f"DROP SEQUENCE IF EXISTS {sequence}")),
    )
    number = Sql(f"nextval({literal_}::regclass)")
    yield fill_step(table, ((column.name, number),), Sql(f"{identifier(column.name)} IS NULL"))
    yield from required(table.name, column, version, "backfill")
    yield _identity_takes_over(table, column, helper)


def _identity_takes_over(table: Table, column: Column, helper: Name) -> Step:
    target, sequence = qualified_name(table.name), qualified_name(helper)
    literal_ = relation_literal(helper)
    own = f"pg_get_serial_sequence({relation_literal(table.name)}, {literal(column.name)})"
    continued = Sql(f"SELECT setval({own}, nextval({literal_}::regclass), false)")
    start = f"SELECT setval({literal_}::regclass, nextval({own}), false)"
    return Step(
        name=slug("identity", table.name, column.name),
        phase="backfill",
        reason="The identity goes on where the helping sequence stopped; no row is looked at: the column is NOT NULL.",
        up=(
            Sql(f"LOCK TABLE {target} IN ACCESS EXCLUSIVE MODE"),
            alter_table(
                table.name,
                alter_column(column.name, "DROP DEFAULT"),
                alter_column(column.name, f"ADD {identity_clause(column)}"),
            ),
            continued,
            Sql(f"DROP SEQUENCE {sequence}"),
        ),
        down=(
            Sql(f"CREATE SEQUENCE {sequence}"),
            Sql(start),
            alter_table(
                table.name,
                alter_column(column.name, "DROP IDENTITY IF EXISTS"),
                alter_column(column.name, f"SET DEFAULT nextval({literal_}::regclass)"),
            ),
        ),
        again="the column is an identity already (55000); nothing is changed",
    )


def identity_clause(column: Column) -> Sql:
    """GENERATED … AS IDENTITY with the options of its sequence."""
    assert column.identity is not None
    options = ""
    if column.sequence is not None or column.sequence_name is not None:
        options = f" ({sequence_options(column.sequence or SequenceOptions(), column.sequence_name)})"
    return Sql(f"GENERATED {keyword(column.identity)} AS IDENTITY{options}")


# --- gone ---


def removed(pair: Pair, table: Table, column: Column) -> Iterator[Step | Refusal]:
    """A column that the new application does not know: optional first, dropped last, if that is allowed."""
    in_key = table.primary_key is not None and column.name in table.primary_key.columns
    if is_obliged(column) and not in_key:
        yield Step(
            name=slug("release", table.name, column.name),
            phase="expand",
            reason="The new application does not write it any more; NULL stands for that.",
            up=(alter_table(table.name, alter_column(column.name, "DROP NOT NULL")),),
            down=tuple(sql for step in required(table.name, column, pair.version) for sql in step.up),
            transaction=False,
        )
    name = spoken(table.name, column.name)
    if (table.name, column.name) in moved.moved_columns(pair):
        yield moved.without_loss(pair, _lost(table, column), table=table.name, column=column.name)
        return
    if not pair.hints.may_lose(table.name, column.name):
        yield Refusal(
            what=f"column {name}",
            why="its values would be lost",
            fix=renamed_or_lost(name),
        )
        return
    if is_obliged(column) and in_key:
        yield Refusal(
            what=f"column {name}",
            why="it is in the primary key: the new application, which does not write it, could add no row before "
            "the key is another",
            fix="write renamed_from if it only gets another name; else give it a default first, in a migration of "
            "its own",
        )
        return
    yield _lost(table, column)


def _lost(table: Table, column: Column) -> Step:
    name, object_ = spoken(table.name, column.name), qualified_name(table.name)
    key = ", ".join(identifier(part) for part in dict.fromkeys((*batch_key(table), column.name)))
    copy = identifier(beside(f"{table.name.name}_{column.name}", "kept"))
    nullable = replace(column, nullable=True, not_null=None)
    computed = column.generated is not None
    return Step(
        name=slug("drop", table.name, column.name),
        phase="contract",
        reason="Only the catalog changes; the space comes back as rows are written anew.",
        up=(_dropped(table.name, column.name),),
        down=(
            alter_table(
                table.name, Sql(f"ADD COLUMN {column_clause(nullable if is_obliged(column) else column)}")
            ),
        ),
        lost=() if computed else (f"{table.name}.{column.name}",),
        keep=None if computed else f"CREATE TABLE {copy} AS SELECT {key} FROM {object_}; -- {name}",  # noqa: S608 - quoted names
        ends_old=True,
        drops=(touched(table.name),),
    )


def recomputed(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step | Refusal]:
    """A column that is computed now, or by another expression."""
    assert new.generated is not None
    if old.generated is None and not pair.hints.may_lose(table.name, old.name):
        name = spoken(table.name, old.name)
        yield Refusal(
            what=f"column {name}",
            why="its values would give way to computed ones",
            fix=f"--allow-data-loss {name}",
        )
        return
    again = (_dropped(table.name, old.name), alter_table(table.name, Sql(f"ADD COLUMN {column_clause(new)}")))
    back = (_dropped(table.name, new.name), alter_table(table.name, Sql(f"ADD COLUMN {column_clause(old)}")))
    stored = new.generated.stored
    yield Step(
        name=slug("compute", table.name, new.name),
        phase="contract",
        reason="A STORED column is computed for every row at once."
        if stored
        else "A VIRTUAL column is computed when it is read.",
        up=again,
        down=back,
        lost=(f"{table.name}.{old.name}",) if old.generated is None else (),
        blocks="a STORED column is computed for every row at once; there is no other form of it"
        if stored
        else None,
        ends_old=True,
        drops=(touched(table.name),),
    )


def touched(table: Name) -> Reference:
    """What views and functions need that name a column of the table: they are dealt with before it goes."""
    return Reference("relation", table.schema, table.name)
