"""Columns that move to another table with the same key: a table is split in two, or two become one.

While both applications are at work both tables hold the values. Triggers carry what is written to the one over to the
other; they stop where nothing differs, so none calls the other for ever. The rows that are there are copied in batches.
In contract the triggers go, then the old columns, or the old table. No value is lost, and the way back is the same.

Two applications that write the same row in both tables at the same instant wait for each other: PostgreSQL ends one of
the two transactions (40P01), which is to be tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from data_platform.ddl.clauses import column_clause
from data_platform.migration.plan.fill import batches
from data_platform.migration.plan.moved import carried
from data_platform.migration.plan.not_null import required
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.replace import differ
from data_platform.migration.plan.step import Fill, Refusal, Step
from data_platform.migration.plan.text import alter_column, alter_table, beside, slug, spoken
from data_platform.model.database import Column, Name, Table
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, expression, identifier, joined, qualified_name


@dataclass(frozen=True, kw_only=True)
class Move:
    """Columns that two tables of one key both have for a while. `main` keeps its rows; `side` comes or goes."""

    main: Table
    """With the columns."""
    side: Table
    columns: tuple[tuple[Column, Column], ...]
    """(of main, of side)."""
    key: tuple[tuple[str, str], ...]
    split: bool
    """Side is the new one; else main has the new columns."""
    otherwise: Mapping[str, str]
    """Values of columns of main where side has no row."""

    @property
    def to_side(self) -> Name:
        """The function of the triggers on main."""
        return Name(self.main.name.schema, beside(self.main.name.name, "moved"))

    @property
    def to_main(self) -> Name:
        """The function of the trigger on side."""
        return Name(self.side.name.schema, beside(self.side.name.name, "moved"))

    @property
    def with_row(self) -> Name:
        """The function that deletes a row of side with its row of main."""
        return Name(self.main.name.schema, beside(self.main.name.name, "moved_row"))

    @property
    def told(self) -> str:
        """For people."""
        names = ", ".join(mine.name for mine, _ in self.columns)
        return f"{names} of {spoken(self.main.name)} and of {spoken(self.side.name)}"


def moves(pair: Pair) -> tuple[Move, ...]:
    """The pairs of tables between which columns move."""
    old, new = ({table.name: table for table in side.tables} for side in (pair.before, pair.after))
    ends = dict.fromkeys((to[0], come[0]) for to, come in carried(pair).items())
    found = []
    for to, come in ends:
        split = to not in old
        main, side = (old[come], new[to]) if split else (new[to], old[come])
        found.append(_move(pair, main, side, split=split))
    return tuple(found)


def _move(pair: Pair, main: Table, side: Table, *, split: bool) -> Move:
    names = [
        (to[1], come[1]) for to, come in carried(pair).items() if {to[0], come[0]} == {main.name, side.name}
    ]
    columns = (
        [(main.column(old), side.column(new)) for new, old in names]
        if split
        else [(main.column(new), side.column(old)) for new, old in names]
    )
    keys = (main.primary_key, side.primary_key)
    key = tuple(zip(*(one.columns if one else () for one in keys), strict=True))
    given = {mine.name: pair.hints.values.get((main.name, mine.name)) for mine, _ in columns}
    otherwise = {name: value for name, value in given.items() if value is not None}
    return Move(main=main, side=side, columns=tuple(columns), key=key, split=split, otherwise=otherwise)


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    """What makes both tables hold the values, and what ends it."""
    for one in moves(pair):
        yield _in_step(one)
        yield _filled(one)
        yield _apart(one)
        yield from _obliged(pair, one)


def _in_step(one: Move) -> Step:
    new_columns = () if one.split else (alter_table(one.main.name, *_added(one)),)
    gone = () if one.split else (alter_table(one.main.name, *_taken_off(one)),)
    return Step(
        name=slug("in_step", one.main.name, one.side.name),
        phase="expand",
        reason=f"Triggers keep {one.told} in step, whichever a client writes. Writing both at the same instant may end "
        "one of the two with 40P01, to be tried again.",
        up=(*new_columns, *_triggers(one)),
        down=(*_without_triggers(one), *gone),
        needs=(Reference("relation", one.side.name.schema, one.side.name.name),) if one.split else (),
        makes=(_made(one),),
    )


def last(pair: Pair) -> Iterator[Step]:
    """Once the old table has no foreign key nothing has to go with a row any more; before the table itself goes."""
    for one in moves(pair):
        if not _cascades(one):
            yield Step(
                name=slug("forget", one.main.name, one.side.name),
                phase="contract",
                reason=f"No row of {spoken(one.side.name)} has to go with its row of {spoken(one.main.name)} any more.",
                up=_dropped(one.with_row, one.main.name),
                one_way="taking back the step that ends the triggers makes it again",
                frees=(Reference("relation", one.side.name.schema, one.side.name.name),),
            )


def _made(one: Move) -> Reference:
    """For the order of steps alone."""
    return Reference("relation", one.main.name.schema, f"{one.main.name.name}.{one.side.name.name}")


def _added(one: Move) -> Iterator[Sql]:
    """Empty and optional, so that nobody waits; the default is for new rows only."""
    for mine, _ in one.columns:
        bare = replace(mine, nullable=True, not_null=None, default=None)
        yield Sql(f"ADD COLUMN IF NOT EXISTS {column_clause(bare)}")
        if mine.default is not None:
            yield alter_column(mine.name, f"SET DEFAULT {default(mine.default)}")


def _taken_off(one: Move) -> Iterator[Sql]:
    for mine, _ in one.columns:
        yield Sql(f"DROP COLUMN IF EXISTS {identifier(mine.name)}")


def _filled(one: Move) -> Step:
    fill = _to_side(one, all_rows=True) if one.split else _to_main(one)
    return Step(
        name=slug("copy", one.main.name, one.side.name),
        phase="backfill",
        reason="Rows that are there, in batches that commit one by one; the triggers see to what changes meanwhile.",
        up=batches(fill),
        transaction=False,
        fill=fill,
        needs=(_made(one),),
    )


def _to_side(one: Move, *, all_rows: bool) -> Fill:
    """Rows of main that have none in side. Without `all_rows`, those that say something in these columns."""
    there = _same_key(one, "dpe_there", identifier(one.main.name.name))
    missing = f"NOT EXISTS (SELECT FROM {qualified_name(one.side.name)} AS dpe_there WHERE {there})"
    needed = missing if all_rows else f"{missing} AND NOT ({_untold(one, '')})"
    own = [(side, Sql(identifier(mine))) for mine, side in one.key]
    values = [*own, *((theirs.name, Sql(identifier(mine.name))) for mine, theirs in one.columns)]
    return Fill(
        table=one.main.name,
        values=tuple(values),
        needed=Sql(needed),
        key=tuple(mine for mine, _ in one.key),
        into=one.side.name,
    )


def _to_main(one: Move) -> Fill:
    """Values of side for the rows of main that have none. The lock makes it the newest value, not the snapshot's."""
    main = identifier(one.main.name.name)
    rows = f"FROM {qualified_name(one.side.name)} AS dpe_there WHERE {_same_key(one, 'dpe_there', main)}"
    values = tuple(
        (mine.name, _or_else(one, mine, f"(SELECT dpe_there.{identifier(theirs.name)} {rows} FOR SHARE)"))
        for mine, theirs in one.columns
    )
    empty = " AND ".join(_empty(mine, main) for mine, _ in one.columns)
    there = "true" if one.otherwise else f"EXISTS (SELECT {rows})"
    return Fill(
        table=one.main.name,
        values=values,
        needed=Sql(f"{empty} AND {there}"),
        key=tuple(mine for mine, _ in one.key),
    )


def _empty(column: Column, main: str) -> str:
    """Whether a row of main has what it gets from a client that does not know the column, or nothing."""
    here = Sql(f"{main}.{identifier(column.name)}")
    return f"({here} IS NULL OR {_as_default(column, f'{main}.')})"


def _or_else(one: Move, mine: Column, value: str) -> Sql:
    """The value of side, or what the column has where side has no row."""
    otherwise = one.otherwise.get(mine.name)
    return Sql(value) if otherwise is None else Sql(f"COALESCE({value}, {expression(otherwise)})")


def _obliged(pair: Pair, one: Move) -> Iterator[Step]:
    """NOT NULL for new columns of main: rows that the old application made meanwhile get their values first."""
    if one.split or all(mine.nullable for mine, _ in one.columns):
        return
    yield replace(
        _filled(one), name=slug("copy_rest", one.main.name, one.side.name), phase="contract", ends_old=True
    )
    for mine, _ in one.columns:
        if not mine.nullable:
            yield from required(one.main.name, mine, pair.version)


def _apart(one: Move) -> Step:
    """Back again the triggers come first, then what the other side does not have yet."""
    back = _to_main(one) if one.split else _to_side(one, all_rows=False)
    return Step(
        name=slug("apart", one.main.name, one.side.name),
        phase="contract",
        reason=f"From here on {spoken((one.side if one.split else one.main).name)} alone has the new values.",
        up=tuple(sql for function, table in _carrying(one) for sql in _dropped(function, table)),
        down=(*_triggers(one), *batches(back)),
        transaction=False,
        ends_old=True,
    )


# --- triggers ---


def _triggers(one: Move) -> tuple[Sql, ...]:
    main, side = qualified_name(one.main.name), qualified_name(one.side.name)
    made = [
        _function(one.to_side, _to_side_body(one)),
        _function(one.to_main, _to_main_body(one)),
        *_trigger(one.to_side, f"AFTER INSERT OR UPDATE ON {main}", main),
        *_trigger(one.to_main, f"AFTER INSERT OR UPDATE OR DELETE ON {side}", side),
    ]
    if not _cascades(one):
        body = render(
            "migration/with_side_row.sql.j2", side=one.side.name, old_key=_same_key(one, "dpe_side", "OLD")
        )
        made += [
            _function(one.with_row, body),
            *_trigger(one.with_row, f"BEFORE DELETE ON {main}", main),
        ]
    return tuple(made)


def _cascades(one: Move) -> bool:
    """Whether the foreign key of side takes its rows away with those of main."""
    return any(key.target == one.main.name and key.on_delete == "cascade" for key in one.side.foreign_keys)


def _trigger(function: Name, when: str, table: Sql) -> tuple[Sql, Sql]:
    name = identifier(function.name)
    return (
        Sql(f"DROP TRIGGER IF EXISTS {name} ON {table}"),
        Sql(f"CREATE TRIGGER {name} {when}\n    FOR EACH ROW EXECUTE FUNCTION {qualified_name(function)}()"),
    )


def _function(name: Name, body: Sql) -> Sql:
    return render("migration/trigger_function.sql.j2", function=name, source=f"\n{body}\n")


def _without_triggers(one: Move) -> tuple[Sql, ...]:
    pairs = [*_carrying(one), *([] if _cascades(one) else [(one.with_row, one.main.name)])]
    return tuple(sql for function, table in pairs for sql in _dropped(function, table))


def _carrying(one: Move) -> tuple[tuple[Name, Name], ...]:
    """The triggers that carry values over, and their tables."""
    return (one.to_side, one.main.name), (one.to_main, one.side.name)


def _dropped(function: Name, table: Name) -> tuple[Sql, Sql]:
    return (
        Sql(f"DROP TRIGGER IF EXISTS {identifier(function.name)} ON {qualified_name(table)}"),
        Sql(f"DROP FUNCTION IF EXISTS {qualified_name(function)}()"),
    )


def _to_side_body(one: Move) -> Sql:
    rows = one.columns
    return render(
        "migration/to_side_table.sql.j2",
        side=one.side.name,
        written=joined(" OR ", [_differ("NEW", mine, "OLD", mine) for mine, _ in rows]),
        assignments=[Sql(f"{identifier(t.name)} = NEW.{identifier(m.name)}") for m, t in rows],
        same_key=_same_key(one, "dpe_side", "NEW"),
        differ=joined(" OR ", [_differ("dpe_side", theirs, "NEW", mine) for mine, theirs in rows]),
        untold=_untold(one, "NEW."),
        columns=[*(side for _, side in one.key), *(theirs.name for _, theirs in rows)],
        values=[Sql(f"NEW.{identifier(n)}") for n in (*(k for k, _ in one.key), *(m.name for m, _ in rows))],
    )


def _to_main_body(one: Move) -> Sql:
    rows = one.columns
    return render(
        "migration/to_main_table.sql.j2",
        main=one.main.name,
        defaults=[Sql(f"{identifier(mine.name)} = DEFAULT") for mine, _ in rows],
        old_key=_same_key(one, "OLD", "dpe_main"),
        assignments=[Sql(f"{identifier(m.name)} = NEW.{identifier(t.name)}") for m, t in rows],
        same_key=_same_key(one, "NEW", "dpe_main"),
        differ=joined(" OR ", [_differ("dpe_main", mine, "NEW", theirs) for mine, theirs in rows]),
    )


def _same_key(one: Move, side: str, main: str) -> Sql:
    """The condition that a row of side and one of main belong together, by what the two are called."""
    return joined(
        " AND ", [Sql(f"{side}.{identifier(theirs)} = {main}.{identifier(mine)}") for mine, theirs in one.key]
    )


def _differ(one: str, column: Column, other: str, theirs: Column) -> Sql:
    here, there = Sql(f"{one}.{identifier(column.name)}"), Sql(f"{other}.{identifier(theirs.name)}")
    return differ(here, there, column.type)


def _untold(one: Move, row: str) -> Sql:
    """Whether all columns have what they get from a client that does not write them."""
    return joined(" AND ", [_as_default(mine, row) for mine, _ in one.columns])


def _as_default(column: Column, row: str) -> Sql:
    here = Sql(f"{row}{identifier(column.name)}")
    if column.default is None:
        return Sql(f"{here} IS NULL")
    return Sql(f"NOT ({differ(here, Sql(f'({default(column.default)})'), column.type)})")
