"""A column in the place of another: its name, its type or its values change while clients go on.

The new column stands beside the old one, empty at first. A trigger keeps both in step in both directions, so that
neither application loses an update; the rows that are there are filled in batches; whatever is over the column (keys,
indexes, checks, foreign keys of this table and of others) is made for the new one without blocking; `swap` then puts it
in the old one's place in one short transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from data_platform.ddl.clauses import column_clause, constraint_clause
from data_platform.migration.plan.column_changes import same_values
from data_platform.migration.plan.columns import fill_step
from data_platform.migration.plan.exact import come_back
from data_platform.migration.plan.indexes import concurrently
from data_platform.migration.plan.naming import columns_of, named_in, over
from data_platform.migration.plan.not_null import required
from data_platform.migration.plan.pair import Pair, tables_of_both
from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import alter_table, beside, slug, spoken
from data_platform.model.database import (
    Check,
    Column,
    Constraint,
    Enum,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    NotNull,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.sql.references import Reference
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, expression, identifier, joined, qualified_name, type_name

_WITHOUT_EQUALITY = ("json", "xml", "point", "polygon", "box", "circle", "line", "lseg", "path")
"""Types that have no operator = for equality, or one that means something else."""


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """A new column that stands in for an old one. `name` is what it is called beside it, `aside` what the old one is
    called after the swap; `forth` is the new value from the old column, `back` the reverse.
    """

    old: Column
    new: Column
    name: str
    aside: str
    forth: Sql
    back: Sql
    exact: bool = False
    """Whether `back` gives each old value again as it was."""

    @property
    def renamed(self) -> bool:
        """Both names can stay: there is nothing to swap."""
        return self.old.name != self.new.name


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """The columns of one table that are replaced."""

    before: Table
    after: Table
    shadows: tuple[Shadow, ...]

    @property
    def table(self) -> Name:
        """The table's name."""
        return self.after.name

    @property
    def names(self) -> Mapping[str, str]:
        """New columns by the names that they have beside the old ones."""
        return {shadow.new.name: shadow.name for shadow in self.shadows}

    @property
    def columns(self) -> tuple[Shadow, ...]:
        """One shadow for each new column, of which several may have the same."""
        return tuple({shadow.name: shadow for shadow in self.shadows}.values())

    @property
    def function(self) -> Name:
        """The trigger's function."""
        return Name(self.table.schema, beside(self.table.name, "in_step"))

    def concerns_old(self, part: Constraint | Index) -> bool:
        """Whether a part of the old table is over a column that goes."""
        return not columns_of(part).isdisjoint(shadow.old.name for shadow in self.shadows)

    def concerns_new(self, part: Constraint | Index) -> bool:
        """Whether a part of the new table is over a column that comes."""
        return not columns_of(part).isdisjoint(self.names)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key over replaced columns, before and after, and the swaps of its two ends that exchange them: the
    first on the way forth, the last on the way back.
    """

    table: Name
    before: ForeignKey | None
    after: ForeignKey | None
    beside: ForeignKey | None
    """The new one over the columns as they are called before the swaps."""
    first: Name
    last: Name


def replacements(pair: Pair) -> tuple[Replacement, ...]:
    """The tables with columns that need a shadow."""
    found = (_of_table(pair, old, new) for old, new in tables_of_both(pair))
    return tuple(one for one in found if one.shadows)


def _of_table(pair: Pair, old: Table, new: Table) -> Replacement:
    shadows = tuple(_shadows(pair, old, new)) if shadow_is_possible(old) else ()
    return Replacement(before=old, after=new, shadows=shadows)


def shadow_is_possible(table: Table) -> bool:
    """Partitions get their columns from their parent, and a foreign table has no triggers that we could rely on."""
    return (
        table.partition_by is None
        and table.partition_of is None
        and table.foreign is None
        and not table.inherits
    )


def _shadows(pair: Pair, old: Table, new: Table) -> Iterator[Shadow]:
    before = {column.name: column for column in old.columns}
    computed_from = {name for c in old.columns if c.generated for name in named_in(c.generated.expression)}
    for column in new.columns:
        yield from _merged(pair, new.name, before, column)
        name = pair.hints.columns.get((new.name, column.name), column.name)
        former = before.get(name)
        if (
            former is None
            or former.inherited
            or former.generated
            or column.generated
            or name in computed_from
        ):
            continue
        renamed = name != column.name and column.name not in before
        if renamed or (name == column.name and needs_values(pair, old, former, column)):
            yield _shadow(pair, new.name, former, column)


def _merged(pair: Pair, table: Name, before: Mapping[str, Column], column: Column) -> Iterator[Shadow]:
    """One for each of the columns that the new one is made of: whichever is written, the new one follows."""
    for name, back in pair.hints.merged.get((table, column.name), ()):
        forth = expression(pair.hints.values[(table, column.name)])
        yield Shadow(
            old=before[name], new=column, name=column.name, aside=name, forth=forth, back=expression(back)
        )


def needs_values(pair: Pair, table: Table, old: Column, new: Column) -> bool:
    """Whether the column's values are not those of the old one as they are stored."""
    differs = (old.type, old.collation) != (new.type, new.collation)
    valued = (table.name, new.name) in pair.hints.back
    return valued or (differs and same_values(pair, table, old, new) is None)


def _shadow(pair: Pair, table: Name, old: Column, new: Column) -> Shadow:
    renamed = old.name != new.name
    name = new.name if renamed else beside(new.name, "new")
    forth = pair.hints.values.get((table, new.name), _cast(pair, old.name, old, new))
    back = pair.hints.back.get((table, new.name), _cast(pair, new.name, new, old))
    return Shadow(
        old=old,
        new=new,
        name=name,
        aside=old.name if renamed else beside(old.name, "old"),
        forth=expression(forth),
        back=expression(back),
        exact=not {*pair.hints.values, *pair.hints.back} & {(table, new.name)}
        and come_back(pair.before, pair.after, old.type, new.type),
    )


def _cast(pair: Pair, name: str, old: Column, new: Column) -> str:
    if old.type == new.type:
        return identifier(name)
    types = (*pair.before.types, *pair.after.types)
    named = (type_.name for type_ in types if isinstance(type_, Enum))
    enums = {f"{identifier(one.schema)}.{identifier(one.name)}" for one in named}
    # No cast leads from one enum to another; their labels are text.
    through = "::text" if {old.type, new.type} <= enums else ""
    return f"{identifier(name)}{through}::{type_name(new.type)}"


# --- foreign keys ---


def keys(pair: Pair, found: tuple[Replacement, ...]) -> tuple[Key, ...]:
    """The foreign keys over replaced columns, on either side."""
    by_table = {one.table: one for one in found}
    order = {one.table: number for number, one in enumerate(found)}
    return tuple(
        _key(name, before, after, by_table, order)
        for name, old, new in _both_sides(pair)
        for before, after in _key_pairs(old, new)
        if _key_concerned(name, before, after, by_table)
    )


def _both_sides(pair: Pair) -> Iterator[tuple[Name, tuple[ForeignKey, ...], tuple[ForeignKey, ...]]]:
    """The foreign keys that each table has before and after, of new and lost tables too."""
    before, after = ({t.name: t.foreign_keys for t in d.tables} for d in (pair.before, pair.after))
    for name in dict.fromkeys((*before, *after)):
        yield name, before.get(name, ()), after.get(name, ())


def _key_pairs(
    old: tuple[ForeignKey, ...], new: tuple[ForeignKey, ...]
) -> Iterator[tuple[ForeignKey | None, ForeignKey | None]]:
    before, after = ({key.name: key for key in keys} for keys in (old, new))
    for name in dict.fromkeys((*before, *after)):
        yield before.get(name), after.get(name)


def _key_concerned(
    table: Name, before: ForeignKey | None, after: ForeignKey | None, by_table: Mapping[Name, Replacement]
) -> bool:
    here = by_table.get(table)
    if here and before and here.concerns_old(before):
        return True
    if here and after and here.concerns_new(after):
        return True
    there = by_table.get(before.target) if before else None
    if there and before and {s.old.name for s in there.shadows} & set(before.target_columns):
        return True
    target = by_table.get(after.target) if after else None
    return bool(target and after and target.names.keys() & set(after.target_columns))


def _key(
    table: Name,
    before: ForeignKey | None,
    after: ForeignKey | None,
    by_table: Mapping[Name, Replacement],
    order: Mapping[Name, int],
) -> Key:
    ends = {table, *(key.target for key in (before, after) if key)}
    swaps = sorted((end for end in ends if end in order), key=order.__getitem__)
    stand_in = None
    if after is not None:
        here, there = by_table.get(table), by_table.get(after.target)
        stand_in = over(
            after, here.names if here else {}, beside(after.name, "new") if before else after.name
        )
        names = there.names if there else {}
        stand_in = replace(
            stand_in,
            target_columns=tuple(names.get(column, column) for column in after.target_columns),
            validated=False,
        )
    return Key(table=table, before=before, after=after, beside=stand_in, first=swaps[0], last=swaps[-1])


# --- beside the old column ---


def preparations(pair: Pair, one: Replacement) -> Iterator[Step]:
    """Everything up to the swap that concerns the table alone."""
    yield _beside(one)
    yield _filled(one)
    for shadow in one.columns:
        if not shadow.new.nullable:
            stand_in = replace(shadow.new, name=shadow.name, not_null=_named_aside(shadow))
            for step in required(one.table, stand_in, pair.version, "backfill"):
                yield replace(step, needs=(_made(one, shadow),))
    for index in indexes(one):
        yield replace(
            concurrently(one.table, index, "backfill"), needs=tuple(_made(one, s) for s in one.shadows)
        )
    for check in checks(one):
        yield from not_valid_then_validated(one.table, check, check.validated, "backfill")


def _named_aside(shadow: Shadow) -> NotNull | None:
    return None if shadow.new.not_null is None else replace(shadow.new.not_null, name=None)


def _made(one: Replacement, shadow: Shadow) -> Reference:
    """A name for the shadow in the order of steps; no object of the database has it."""
    return Reference("relation", one.table.schema, f"{one.table.name}.{shadow.name}")


def _beside(one: Replacement) -> Step:
    clauses = (Sql(f"ADD COLUMN IF NOT EXISTS {column_clause(_empty(shadow))}") for shadow in one.columns)
    told = ", ".join(f"{spoken(one.table, s.old.name)} and {s.name}" for s in one.shadows)
    return Step(
        name=slug("beside", one.table, *(s.new.name for s in one.columns)),
        phase="expand",
        reason=f"A trigger keeps {told} in step, whichever of them a client writes; rows that are there wait for "
        "the fill.",
        up=(
            in_step_function(one, swapped=False),
            alter_table(one.table, *clauses),
            *in_step_trigger(one),
        ),
        down=(
            *without_trigger(one),
            alter_table(
                one.table, *(Sql(f"DROP COLUMN IF EXISTS {identifier(s.name)}") for s in one.columns)
            ),
        ),
        makes=tuple(_made(one, shadow) for shadow in one.shadows),
    )


def _empty(shadow: Shadow) -> Column:
    return Column(name=shadow.name, type=shadow.new.type, collation=shadow.new.collation, nullable=True)


def in_step_function(one: Replacement, *, swapped: bool) -> Sql:
    """The function of the trigger that keeps old and new columns in step."""
    columns = [_told(one, shadow, swapped=swapped and not shadow.renamed) for shadow in one.shadows]
    source = f"\n{render('migration/keep_in_step.sql.j2', columns=columns)}\n"
    return render("migration/trigger_function.sql.j2", function=one.function, source=source)


def _told(one: Replacement, shadow: Shadow, *, swapped: bool) -> Mapping[str, object]:
    name, column = identifier(shadow.name), identifier(shadow.old.name)
    forth = row_value(one.table, shadow.forth)
    return {
        "swapped": swapped,
        "name": shadow.name,
        "column": shadow.old.name,
        "aside": shadow.aside,
        "forth": forth,
        "back": row_value(one.table, _back(shadow, swapped=swapped)),
        "differ": differ(Sql(f"NEW.{name}"), forth, shadow.new.type),
        "new_written": differ(Sql(f"NEW.{name}"), Sql(f"OLD.{name}"), shadow.new.type),
        "old_written": differ(Sql(f"NEW.{column}"), Sql(f"OLD.{column}"), shadow.old.type),
    }


def _back(shadow: Shadow, *, swapped: bool) -> Sql:
    """The old value, over the new column by the name that it has at the time."""
    if swapped or shadow.renamed:
        return shadow.back
    stand_in = over(Check(name="c", expression=shadow.back), {shadow.new.name: shadow.name}, "c")
    return Sql(stand_in.expression)


def row_value(table: Name, value: Sql) -> Sql:
    """An expression over the row that is written, whose columns have their plain names in it."""
    return Sql(f"(SELECT {value} FROM (SELECT NEW.*) AS {identifier(table.name)})")  # noqa: S608 - SQL already


def differ(one: Sql, other: Sql, type_: str) -> Sql:
    """Whether two values of that type differ, for types without equality by what they print."""
    if type_.split("(", maxsplit=1)[0].removesuffix("[]") in _WITHOUT_EQUALITY:
        return Sql(f"{one}::text IS DISTINCT FROM ({other})::text")
    return Sql(f"{one} IS DISTINCT FROM {other}")


def in_step_trigger(one: Replacement) -> tuple[Sql, ...]:
    """The trigger, made anew."""
    name, table, function = (
        identifier(one.function.name),
        qualified_name(one.table),
        qualified_name(one.function),
    )
    return (
        Sql(f"DROP TRIGGER IF EXISTS {name} ON {table}"),
        Sql(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table}\n    FOR EACH ROW EXECUTE FUNCTION {function}()"
        ),
    )


def without_trigger(one: Replacement) -> tuple[Sql, ...]:
    """The trigger and its function, dropped."""
    return (
        Sql(f"DROP TRIGGER IF EXISTS {identifier(one.function.name)} ON {qualified_name(one.table)}"),
        Sql(f"DROP FUNCTION IF EXISTS {qualified_name(one.function)}()"),
    )


def _filled(one: Replacement) -> Step:
    values = tuple((shadow.name, shadow.forth) for shadow in one.columns)
    needed = (differ(identifier(s.name), Sql(f"({s.forth})"), s.new.type) for s in one.columns)
    step = fill_step(one.before, values, joined(" OR ", needed))
    return replace(step, needs=tuple(_made(one, s) for s in one.shadows), one_way=None, down=())


# --- what is over it ---


def indexes(one: Replacement) -> Iterator[Index]:
    """The indexes, those of keys included, over the new columns by the names that they have beside the old ones."""
    for key in unique_keys(one):
        yield Index(
            name=beside(key.name, "new"),
            elements=tuple(IndexElement(column=one.names.get(c, c)) for c in key.columns),
            unique=True,
            nulls_not_distinct=isinstance(key, Unique) and key.nulls_not_distinct,
            include=tuple(one.names.get(c, c) for c in key.include),
            options=key.options,
        )
    for index in one.after.indexes:
        if one.concerns_new(index):
            yield over(replace(index, statistics=()), one.names, beside(index.name, "new"))


def unique_keys(one: Replacement) -> Iterator[PrimaryKey | Unique]:
    """Keys of the new table over the new columns that an index can be built for beforehand."""
    candidates = (one.after.primary_key, *one.after.uniques)
    for key in candidates:
        if key is not None and one.concerns_new(key) and not key.without_overlaps:
            yield key


def checks(one: Replacement) -> Iterator[Check]:
    """The checks over the new columns."""
    for check in one.after.checks:
        if one.concerns_new(check):
            yield over(check, one.names, beside(check.name, "new"))


def not_valid_then_validated(
    table: Name, constraint: Check | ForeignKey, validate: bool, phase: Phase
) -> Iterator[Step]:
    """A constraint for new rows, then for those that are there."""
    name = identifier(constraint.name)
    unchecked = replace(constraint, validated=False)
    yield Step(
        name=slug("add", constraint.name),
        phase=phase,
        reason="For rows that are written from now on; nobody waits for a look at those that are there.",
        up=(alter_table(table, Sql(f"ADD {constraint_clause(unchecked)}")),),
        down=(alter_table(table, Sql(f"DROP CONSTRAINT IF EXISTS {name}")),),
        again="the constraint is there already (42710); nothing is changed",
        makes=(Reference("relation", table.schema, constraint.name),),
        ends_old=phase == "contract",
    )
    if validate and constraint.enforced:
        yield Step(
            name=slug("validate", constraint.name),
            phase=phase,
            reason="Reads every row under a lock that lets clients read and write.",
            up=(alter_table(table, Sql(f"VALIDATE CONSTRAINT {name}")),),
            needs=(Reference("relation", table.schema, constraint.name),),
            makes=(validated(table, constraint.name),),
        )


def validated(table: Name, constraint: str) -> Reference:
    """A name for the constraint once it is valid, in the order of steps; no object of the database has it."""
    return Reference("relation", table.schema, f"{constraint} (valid)")
