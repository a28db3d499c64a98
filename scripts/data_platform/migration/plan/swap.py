"""The short transaction in which new columns take the place of the old ones, and what is cleared away after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from data_platform.ddl.clauses import constraint_clause, index_sql
from data_platform.ddl.rights import grant_piece
from data_platform.migration.plan import hanging, matviews, views
from data_platform.migration.plan.columns import identity_clause, touched
from data_platform.migration.plan.dependents import dependents, touched_references
from data_platform.migration.plan.fill import batches
from data_platform.migration.plan.keys import batch_key
from data_platform.migration.plan.not_null import NOT_NULL_CONSTRAINTS_SINCE, not_null_name
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.replace import (
    Key,
    Replacement,
    Shadow,
    checks,
    differ,
    in_step_function,
    in_step_trigger,
    unique_keys,
    without_trigger,
)
from data_platform.migration.plan.step import Fill, Step
from data_platform.migration.plan.text import alter_column, alter_table, bare, beside, in_schema, slug, spoken
from data_platform.model.database import (
    Column,
    Constraint,
    Database,
    ForeignKey,
    Grant,
    MaterializedView,
    Name,
    PrimaryKey,
    Table,
)
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import default
from data_platform.sql.text import (
    Sql,
    identifier,
    joined,
    literal,
    qualified,
    qualified_name,
    relation_literal,
)


def steps(pair: Pair, one: Replacement, keys: tuple[Key, ...]) -> Iterator[Step]:
    """The swap of one table, and the end of its old columns."""
    stored = _carried(pair, one)
    yield _swap(pair, one, keys, frozenset(new.name for _, new in stored))
    for old, new in stored:
        # Over the old column until it is replaced; the way back of the swap makes it anew.
        for step in matviews.steps(pair, old, new, "contract"):
            yield replace(step, down=(), frees=(), one_way="taking back the swap makes it again")
    yield _cleared(one)


def _carried(pair: Pair, one: Replacement) -> tuple[tuple[MaterializedView, MaterializedView], ...]:
    """Materialized views over the columns that can stay over the old ones while new ones are built beside: those that
    nothing depends on. Building one in the swap would keep everybody out for as long as it takes.
    """
    if any(shadow.renamed for shadow in one.shadows):
        return ()
    over = views.over_views(pair.before, {(one.table, shadow.old.name) for shadow in one.shadows})
    there = {view.name: view for view in pair.after.materialized_views}
    return tuple(
        (part, there[part.name])
        for part in (dependent.part for dependent in over)
        if isinstance(part, MaterializedView)
        and part.populated
        and part.name in there
        and there[part.name].query == part.query
        and not dependents(pair.before, touched_references({part.name}))
    )


def _swap(pair: Pair, one: Replacement, keys: tuple[Key, ...], without: Collection[Name]) -> Step:
    over = {(one.table, column.name) for s in one.shadows for column in (s.old, s.new)}
    first = [key for key in keys if key.first == one.table]
    last = [key for key in keys if key.last == one.table]
    reverse = replace(pair, before=pair.after, after=pair.before)
    down_views, up_views = views.aside(pair, over, without=without), views.aside(reverse, over)
    hung, unhung = hanging.aside(pair, over), hanging.aside(reverse, over)
    lock = Sql(f"LOCK TABLE {qualified_name(one.table)} IN ACCESS EXCLUSIVE MODE")
    told = ", ".join(spoken(one.table, s.new.name) for s in one.columns)
    heavy = [e.name for e in one.after.exclusions if one.concerns_new(e)]
    return Step(
        name=slug("swap", one.table, *(s.new.name for s in one.columns)),
        phase="contract",
        reason=f"The new columns take the old ones' place ({told}): only names and the catalog change, so the lock is "
        "short. The old values are kept until the next step; what is written by then and does not fit the old column "
        "is NULL there once this is taken back. Taking it back builds the old keys and indexes under the lock.",
        up=(
            *down_views[0],
            *hung[0],
            lock,
            *without_trigger(one),
            *_old_parts_gone(one, first, pair.version),
            *_names_swapped(one),
            *_new_parts_take_over(pair, one, first),
            *_kept_in_step(one),
            *hung[1],
            *down_views[1],
        ),
        down=(
            *up_views[0],
            *unhung[0],
            lock,
            *without_trigger(one),
            *_new_parts_gone(one, last, pair.version),
            *_names_back(one),
            *_old_parts_again(pair, one, first),
            in_step_function(one, swapped=False),
            *in_step_trigger(one),
            *unhung[1],
            *up_views[1],
        ),
        again="the columns have been swapped; the old names are gone (42704), and nothing is changed",
        blocks=f"an exclusion constraint has no online form: {', '.join(heavy)}" if heavy else None,
        ends_old=True,
        drops=(touched(one.table),),
    )


# --- up ---


def _old_parts_gone(one: Replacement, keys: list[Key], version: int) -> Iterator[Sql]:
    for key in keys:
        if key.before is not None:
            yield alter_table(key.table, Sql(f"DROP CONSTRAINT {identifier(key.before.name)}"))
    for constraint in _own(one.before):
        if one.concerns_old(constraint):
            yield alter_table(one.table, Sql(f"DROP CONSTRAINT {identifier(constraint.name)}"))
    for index in one.before.indexes:
        if one.concerns_old(index):
            yield Sql(f"DROP INDEX {in_schema(one.table, index.name)}")
    for shadow in one.shadows:
        yield from _stripped(one, shadow.old, shadow.old.name, version)


def _own(table: Table) -> Iterator[Constraint]:
    """Its constraints but the foreign keys, which have two ends."""
    return (constraint for constraint in table.constraints if not isinstance(constraint, ForeignKey))


def _stripped(one: Replacement, column: Column, name: str, version: int) -> Iterator[Sql]:
    if column.identity is not None:
        yield from _not_null_aside(one, column, version)
        yield Sql(
            f"ALTER SEQUENCE {qualified_name(_sequence(one.table, column))} RENAME TO {identifier(_spare(one, column))}"
        )
    if column.default is not None:
        yield alter_table(one.table, alter_column(name, "DROP DEFAULT"))
    if not column.nullable and column.identity is None:
        yield alter_table(one.table, alter_column(name, "DROP NOT NULL"))


def _not_null_aside(one: Replacement, column: Column, version: int) -> Iterator[Sql]:
    """An identity cannot do without its NOT NULL, so that gives up its name first."""
    if version >= NOT_NULL_CONSTRAINTS_SINCE:
        name = not_null_name(one.table, column)
        yield _constraint_renamed(one.table, name, beside(name, "old"))


def _sequence(table: Name, column: Column) -> Name:
    return column.sequence_name or Name(table.schema, default_name(table.name, column.name, "seq"))


def _spare(one: Replacement, column: Column) -> str:
    return beside(_sequence(one.table, column).name, "old")


def _names_swapped(one: Replacement) -> Iterator[Sql]:
    for shadow in one.shadows:
        if not shadow.renamed:
            yield _rename(one.table, shadow.old.name, shadow.aside)
            yield _rename(one.table, shadow.name, shadow.new.name)


def _rename(table: Name, old: str, new: str) -> Sql:
    return alter_table(table, Sql(f"RENAME COLUMN {identifier(old)} TO {identifier(new)}"))


def _new_parts_take_over(pair: Pair, one: Replacement, keys: list[Key]) -> Iterator[Sql]:
    for shadow in one.columns:
        yield from _dressed(pair, one, shadow)
    for key in unique_keys(one):
        kind = "PRIMARY KEY" if isinstance(key, PrimaryKey) else "UNIQUE"
        deferral = {"not deferrable": "", "initially immediate": " DEFERRABLE"}.get(
            key.deferral, " DEFERRABLE INITIALLY DEFERRED"
        )
        using = f"USING INDEX {identifier(beside(key.name, 'new'))}{deferral}"
        yield alter_table(one.table, Sql(f"ADD CONSTRAINT {identifier(key.name)} {kind} {using}"))
    for index in one.after.indexes:
        if one.concerns_new(index):
            stand_in = in_schema(one.table, beside(index.name, "new"))
            yield Sql(f"ALTER INDEX {stand_in} RENAME TO {identifier(index.name)}")
    for check in checks(one):
        yield _constraint_renamed(one.table, check.name, _final(one, check.name))
    for exclusion in one.after.exclusions:
        if one.concerns_new(exclusion):
            yield alter_table(one.table, Sql(f"ADD {constraint_clause(exclusion)}"))
    for exchanged in keys:
        if exchanged.after is not None and exchanged.beside is not None:
            names = exchanged.beside.name, exchanged.after.name
            if names[0] != names[1]:
                yield _constraint_renamed(exchanged.table, *names)


def _final(one: Replacement, stand_in: str) -> str:
    return next(check.name for check in one.after.checks if beside(check.name, "new") == stand_in)


def _constraint_renamed(table: Name, old: str, new: str) -> Sql:
    return alter_table(table, Sql(f"RENAME CONSTRAINT {identifier(old)} TO {identifier(new)}"))


def _dressed(pair: Pair, one: Replacement, shadow: Shadow) -> Iterator[Sql]:
    """The new column's default, identity and the name of its NOT NULL; the sequence that the old one owned."""
    new, old = shadow.new, shadow.old
    if pair.version >= NOT_NULL_CONSTRAINTS_SINCE and not new.nullable:
        stand_in = not_null_name(one.table, replace(new, name=shadow.name, not_null=None))
        if stand_in != not_null_name(one.table, new):
            yield _constraint_renamed(one.table, stand_in, not_null_name(one.table, new))
    if new.default is not None:
        yield alter_table(one.table, alter_column(new.name, f"SET DEFAULT {default(new.default)}"))
    for sequence in pair.after.sequences:
        if sequence.owned_by == (one.table, new.name) and _owned_before(pair, sequence.name):
            owner = f"{qualified_name(one.table)}.{identifier(new.name)}"
            yield Sql(f"ALTER SEQUENCE {qualified_name(sequence.name)} OWNED BY {owner}")
    if new.identity is not None:
        yield alter_table(one.table, alter_column(new.name, f"ADD {identity_clause(new)}"))
    if new.identity is not None and old.identity is not None:
        spare = relation_literal(Name(one.table.schema, _spare(one, old)))
        yield Sql(
            f"SELECT setval({relation_literal(_sequence(one.table, new))}::regclass, nextval({spare}::regclass), false)"
        )
    if old.identity is not None:
        yield alter_table(
            one.table,
            alter_column(shadow.aside, "DROP IDENTITY"),
            alter_column(shadow.aside, "DROP NOT NULL"),
        )
    yield from _said_of(pair.after, one.table, new)


def _said_of(database: Database, table: Name, column: Column) -> Iterator[Sql]:
    """The column's comment, and the rights on it alone: they stayed with the column that had its name."""
    if column.comment is not None:
        name = f"{qualified_name(table)}.{identifier(column.name)}"
        yield Sql(f"COMMENT ON COLUMN {name} IS {literal(column.comment)}")
    for grant in database.grants:
        if grant.kind == "table" and column.name in grant.columns and _is_on(grant, table):
            yield bare(grant_piece(grant).statement.sql)


def _is_on(grant: Grant, table: Name) -> bool:
    return grant.object in (str(qualified_name(table)), str(qualified(table.schema, table.name)))


def _owned_before(pair: Pair, sequence: Name) -> bool:
    return any(one.name == sequence for one in pair.before.sequences)


def _kept_in_step(one: Replacement) -> tuple[Sql, ...]:
    return (in_step_function(one, swapped=True), *in_step_trigger(one))


# --- down ---


def _new_parts_gone(one: Replacement, keys: list[Key], version: int) -> Iterator[Sql]:
    for key in keys:
        if key.after is not None:
            yield alter_table(key.table, Sql(f"DROP CONSTRAINT {identifier(key.after.name)}"))
    for constraint in _own(one.after):
        if one.concerns_new(constraint):
            yield alter_table(one.table, Sql(f"DROP CONSTRAINT {identifier(constraint.name)}"))
    for index in one.after.indexes:
        if one.concerns_new(index):
            yield Sql(f"DROP INDEX {in_schema(one.table, index.name)}")
    for shadow in one.columns:
        yield from _stripped(one, shadow.new, shadow.new.name, version)


def _names_back(one: Replacement) -> Iterator[Sql]:
    for shadow in one.shadows:
        if not shadow.renamed:
            yield _rename(one.table, shadow.new.name, shadow.name)
            yield _rename(one.table, shadow.aside, shadow.old.name)


def _old_parts_again(pair: Pair, one: Replacement, keys: list[Key]) -> Iterator[Sql]:
    for shadow in one.shadows:
        yield from _dressed_again(pair, one, shadow)
    for constraint in _own(one.before):
        if one.concerns_old(constraint):
            yield alter_table(one.table, Sql(f"ADD {constraint_clause(constraint)}"))
    for index in one.before.indexes:
        if one.concerns_old(index):
            yield bare(index_sql(one.table, index))
    for key in keys:
        if key.before is not None:
            yield alter_table(key.table, Sql(f"ADD {constraint_clause(key.before)}"))


def _dressed_again(pair: Pair, one: Replacement, shadow: Shadow) -> Iterator[Sql]:
    old, new = shadow.old, shadow.new
    if not old.nullable:
        yield alter_table(one.table, _not_null(one.table, old, pair.version))
    if old.default is not None:
        yield alter_table(one.table, alter_column(old.name, f"SET DEFAULT {default(old.default)}"))
    for sequence in pair.before.sequences:
        if sequence.owned_by == (one.table, old.name):
            owner = f"{qualified_name(one.table)}.{identifier(old.name)}"
            yield Sql(f"ALTER SEQUENCE {qualified_name(sequence.name)} OWNED BY {owner}")
    if old.identity is not None:
        yield alter_table(one.table, alter_column(old.name, f"ADD {identity_clause(old)}"))
    if new.identity is not None and old.identity is not None:
        spare = relation_literal(Name(one.table.schema, _spare(one, new)))
        yield Sql(
            f"SELECT setval({relation_literal(_sequence(one.table, old))}::regclass, nextval({spare}::regclass), false)"
        )
    if new.identity is not None:
        yield alter_table(
            one.table, alter_column(shadow.name, "DROP IDENTITY"), alter_column(shadow.name, "DROP NOT NULL")
        )
    yield from _said_of(pair.before, one.table, old)


def _not_null(table: Name, column: Column, version: int) -> Sql:
    """Under the name that it had, where it has one."""
    if version < NOT_NULL_CONSTRAINTS_SINCE:
        return alter_column(column.name, "SET NOT NULL")
    return Sql(
        f"ADD CONSTRAINT {identifier(not_null_name(table, column))} NOT NULL {identifier(column.name)}"
    )


# --- the end of the old columns ---


def _cleared(one: Replacement) -> Step:
    names = tuple(dict.fromkeys(shadow.old.name for shadow in one.shadows))
    told = ", ".join(spoken(one.table, name) for name in names)
    made_up = dict.fromkeys(f"{s.old.name} as {s.back}" for s in one.shadows if not s.exact)
    again = [
        alter_table(
            one.table,
            *(
                Sql(f"ADD COLUMN IF NOT EXISTS {identifier(s.aside)} {s.old.type}{_collated(s.old)}")
                for s in one.shadows
            ),
        ),
        in_step_function(one, swapped=True),
        *in_step_trigger(one),
    ]
    values = tuple({s.aside: s.back for s in one.shadows}.items())
    needed = joined(
        " OR ", (differ(identifier(s.aside), Sql(f"({s.back})"), s.old.type) for s in one.shadows)
    )
    fill = Fill(table=one.table, values=values, needed=needed, key=batch_key(one.after))
    return Step(
        name=slug("clear", one.table, *names),
        phase="contract",
        reason=f"The old values of {told} go; only the catalog changes. Before this step the swap can be taken back.",
        up=(
            *without_trigger(one),
            alter_table(
                one.table,
                *dict.fromkeys(Sql(f"DROP COLUMN IF EXISTS {identifier(s.aside)}") for s in one.shadows),
            ),
        ),
        down=(*again, *batches(fill)),
        one_way=f"the old values as they were; they are made of the new ones: {', '.join(made_up)}"
        if made_up
        else None,
        transaction=False,
    )


def _collated(column: Column) -> str:
    from data_platform.sql.phrases import collation  # noqa: PLC0415

    return f" COLLATE {collation(column.collation)}" if column.collation else ""
