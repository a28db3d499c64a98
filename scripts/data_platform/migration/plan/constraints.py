"""Constraints of tables that both schemas have: keys, checks, foreign keys, exclusions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from data_platform.ddl.clauses import constraint_clause
from data_platform.migration.plan.columns import ready
from data_platform.migration.plan.indexes import concurrently
from data_platform.migration.plan.naming import columns_of
from data_platform.migration.plan.pair import Changes, Pair, changes, tables_of_both
from data_platform.migration.plan.replace import not_valid_then_validated, validated
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import alter_table, beside, in_schema, slug
from data_platform.model.database import (
    Check,
    Constraint,
    Exclusion,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, deferral, identifier, identifiers, options


def steps(pair: Pair, left_out: Callable[[Table, Constraint], bool]) -> Iterator[Step]:
    """All constraints but those that `left_out` names."""
    for old, new in tables_of_both(pair):
        if new.partition_of is not None and new.partition_by is None:
            continue
        found = changes(
            [one for one in old.constraints if not left_out(old, one)],
            [one for one in new.constraints if not left_out(new, one)],
        )
        if any((found.added, found.removed, found.changed)):
            yield from _of(pair, new, found)


def _of(pair: Pair, table: Table, found: Changes[Constraint]) -> Iterator[Step]:
    renames = dict(_renames(found))
    for old in found.removed:
        yield (
            _renamed(table.name, old.name, renames[old.name]) if old.name in renames else _dropped(table, old)
        )
    taken = set(renames.values())
    old_key = next((one for one in found.removed if isinstance(one, PrimaryKey)), None)
    for new in found.added:
        if new.name in taken:
            continue
        waits = isinstance(new, PrimaryKey) and old_key is not None
        for step in added(pair, table, new):
            yield replace(step, phase="contract") if waits and step.transaction else step
    for before, after in found.changed:
        yield from _changed(pair, table, before, after)


def _renames(found: Changes[Constraint]) -> Iterator[tuple[str, str]]:
    free = list(found.added)
    for old in found.removed:
        same = next((new for new in free if _anonymous(new) == _anonymous(old)), None)
        if same is not None:
            free.remove(same)
            yield old.name, same.name


def _anonymous(one: Constraint) -> Constraint:
    return replace(one, name="", comment=None)


def _renamed(table: Name, old: str, new: str) -> Step:
    return Step(
        name=slug("rename", old),
        phase="contract",
        reason="Only the name changes: messages, and ON CONFLICT ON CONSTRAINT, say it.",
        up=(alter_table(table, Sql(f"RENAME CONSTRAINT {identifier(old)} TO {identifier(new)}")),),
        down=(alter_table(table, Sql(f"RENAME CONSTRAINT {identifier(new)} TO {identifier(old)}")),),
        again="there is no constraint of the old name any more (42704); nothing is changed",
        drops=(Reference("relation", table.schema, old),),
        makes=(Reference("relation", table.schema, new),),
    )


def _dropped(table: Table, one: Constraint) -> Step:
    """Checks and foreign keys go first, as the new application may not keep them; keys last, as the old one may infer
    them in ON CONFLICT."""
    loosens = isinstance(one, Check | ForeignKey)
    name = identifier(one.name)
    return Step(
        name=slug("drop", one.name),
        phase="expand" if loosens else "contract",
        reason="The lock on both tables of a foreign key is short."
        if isinstance(one, ForeignKey)
        else "Only the catalog changes.",
        up=(alter_table(table.name, Sql(f"DROP CONSTRAINT IF EXISTS {name}")),),
        down=_again(table, one),
        transaction=not isinstance(one, Check | ForeignKey | PrimaryKey | Unique) or _is_plain(one),
        ends_old=not loosens,
        drops=(Reference("relation", table.name.schema, one.name),),
        frees=(Reference("relation", one.target.schema, one.target.name),)
        if isinstance(one, ForeignKey)
        else (),
    )


def _is_plain(one: Constraint) -> bool:
    """Whether it is made again by one statement."""
    return isinstance(one, Check | ForeignKey) and not (one.validated and one.enforced)


def _again(table: Table, one: Constraint) -> tuple[Sql, ...]:
    if isinstance(one, Check | ForeignKey):
        found = not_valid_then_validated(table.name, one, one.validated, "contract")
        return tuple(sql for step in found for sql in step.up)
    if isinstance(one, PrimaryKey | Unique) and not one.without_overlaps and table.partition_by is None:
        return tuple(sql for step in _key(table, one) for sql in step.up)
    return (alter_table(table.name, Sql(f"ADD {constraint_clause(one)}")),)


def added(pair: Pair, table: Table, one: Constraint) -> Iterator[Step]:
    """A new constraint, checked or built while clients go on where PostgreSQL can."""
    phase = ready(pair, table.name, columns_of(one))
    if table.partition_by is not None:
        from data_platform.migration.plan import partitioned  # noqa: PLC0415

        yield from partitioned.constraint_steps(pair, table, one)
    elif isinstance(one, Check | ForeignKey):
        for step in not_valid_then_validated(table.name, one, one.validated, "contract"):
            yield replace(step, needs=(*step.needs, *_target(one)))
    elif isinstance(one, PrimaryKey | Unique) and not one.without_overlaps:
        ready_made = promoted(pair, table.name, one)
        for step in _promoted(table, one, ready_made) if ready_made else _key(table, one):
            yield replace(step, phase=phase)
    else:
        yield _blocking(table.name, one)


def _target(one: Check | ForeignKey) -> tuple[Reference, ...]:
    """The table that a foreign key refers to, and its primary key where that is being exchanged.

    Before the exchange it would hang on the bare index; the way back could not drop what takes its place.
    """
    if not isinstance(one, ForeignKey):
        return ()
    return (
        Reference("relation", one.target.schema, one.target.name),
        _exchanged_key(one.target, one.target_columns),
    )


def _exchanged_key(table: Name, columns: Collection[str]) -> Reference:
    """A name in the order of steps for the primary key over these columns that takes another's place."""
    return Reference("relation", table.schema, f"{table.name} (key over {', '.join(sorted(columns))})")


def _key(table: Table, key: PrimaryKey | Unique) -> Iterator[Step]:
    """A unique index CONCURRENTLY, then the constraint on top of it."""
    built = concurrently(table.name, _index_of(key), "expand")
    yield replace(built, up=built.up, makes=(_index_made(table.name, key.name),))
    kind = "PRIMARY KEY" if isinstance(key, PrimaryKey) else "UNIQUE"
    name = identifier(key.name)
    using = f"ADD CONSTRAINT {name} {kind} USING INDEX {name}{deferral(key.deferral)}"
    yield Step(
        name=slug("add", key.name),
        phase="expand",
        reason="The index is there already, so that no row is looked at. From the index on, duplicates are refused.",
        up=(alter_table(table.name, Sql(using)),),
        down=(alter_table(table.name, Sql(f"DROP CONSTRAINT IF EXISTS {name}")),),
        again="the constraint is there already (42P07, or 42P16 for a primary key); nothing is changed",
        needs=(_index_made(table.name, key.name),),
        makes=(Reference("relation", table.name.schema, key.name),),
    )


def _index_of(key: PrimaryKey | Unique) -> Index:
    return Index(
        name=key.name,
        elements=tuple(IndexElement(column=column) for column in key.columns),
        unique=True,
        nulls_not_distinct=isinstance(key, Unique) and key.nulls_not_distinct,
        include=key.include,
        options=key.options,
    )


def promoted(pair: Pair, table: Name, key: PrimaryKey | Unique) -> Index | None:
    """An index of the old table that a new key can stand on: the new schema has it only as the key's own.

    A primary key in place of another gets an index of its own, as the exchange is one transaction.
    """
    wanted = _index_of(key)
    old, new = (
        next((one for one in database.tables if one.name == table), None)
        for database in (pair.before, pair.after)
    )
    if old is None or _anonymous(key) in map(_anonymous, old.constraints):
        return None
    if isinstance(key, PrimaryKey) and old.primary_key is not None:
        return None
    kept = {index.name for index in new.indexes} if new else set()
    fits = (
        index
        for index in old.indexes
        if index.name not in kept and replace(wanted, name=index.name, comment=index.comment) == index
    )
    return next(fits, None)


def _promoted(table: Table, key: PrimaryKey | Unique, index: Index) -> Iterator[Step]:
    (_, put) = _key(table, key)
    name, used = identifier(key.name), identifier(index.name)
    back = concurrently(table.name, index, "expand").up
    yield replace(
        put,
        reason="The index is there, so that no row is looked at; it takes the constraint's name.",
        up=(Sql(put.up[0].replace(f"USING INDEX {name}", f"USING INDEX {used}")),),
        down=(*put.down, *back),
        transaction=False,
        needs=(),
    )


def _index_made(table: Name, key: str) -> Reference:
    """A name for the bare index in the order of steps: the constraint takes the real one."""
    return Reference("relation", table.schema, f"{key} (index)")


def _blocking(table: Name, one: Constraint) -> Step:
    what = "an exclusion constraint" if isinstance(one, Exclusion) else "a key WITHOUT OVERLAPS"
    return Step(
        name=slug("add", one.name),
        phase="contract",
        reason=f"{what.capitalize()} has no online form: its index is built while everybody waits. Do it when few "
        "clients are there.",
        up=(alter_table(table, Sql(f"ADD {constraint_clause(one)}")),),
        down=(alter_table(table, Sql(f"DROP CONSTRAINT IF EXISTS {identifier(one.name)}")),),
        again="the constraint is there already (42P07); nothing is changed",
        blocks=f"{what} has no online form",
        ends_old=True,
    )


# --- changed ---


def _changed(pair: Pair, table: Table, before: Constraint, after: Constraint) -> Iterator[Step]:
    if replace(before, comment=after.comment) == after:
        return
    if isinstance(before, Check | ForeignKey) and _same(before, after, "validated") and not before.validated:
        yield _validated(table.name, before, after)
    elif (
        isinstance(before, ForeignKey) and isinstance(after, ForeignKey) and _same(before, after, "deferral")
    ):
        yield _deferral(table.name, before, after)
    elif isinstance(before, PrimaryKey | Unique) and _same(before, after, "options"):
        yield _options(table.name, before, after)
    else:
        yield from _exchanged(pair, table, before, after)


def _same(before: Constraint, after: Constraint, but: str) -> bool:
    """Whether they differ in nothing but this, and their comments."""
    if type(before) is not type(after):
        return False
    return replace(before, comment=after.comment, **{but: getattr(after, but)}) == after


def _validated(table: Name, before: Check | ForeignKey, one: Constraint) -> Step:
    return Step(
        name=slug("validate", one.name),
        phase="contract",
        reason="Reads every row under a lock that lets clients read and write.",
        up=(alter_table(table, Sql(f"VALIDATE CONSTRAINT {identifier(one.name)}")),),
        down=(
            alter_table(
                table,
                Sql(f"DROP CONSTRAINT IF EXISTS {identifier(one.name)}"),
                Sql(f"ADD {constraint_clause(before)}"),
            ),
        ),
    )


def _deferral(table: Name, before: ForeignKey, after: ForeignKey) -> Step:
    return Step(
        name=slug("defer", after.name),
        phase="expand",
        reason="Only the catalog changes.",
        up=(alter_table(table, _alter_deferral(after)),),
        down=(alter_table(table, _alter_deferral(before)),),
    )


def _alter_deferral(key: ForeignKey) -> Sql:
    how = deferral(key.deferral) or Sql(" NOT DEFERRABLE")
    immediate = " INITIALLY IMMEDIATE" if key.deferral == "initially immediate" else ""
    return Sql(f"ALTER CONSTRAINT {identifier(key.name)}{how}{immediate}")


def _options(table: Name, before: Constraint, after: Constraint) -> Step:
    name = in_schema(table, after.name)
    return Step(
        name=slug("settings", after.name),
        phase="expand",
        reason="It holds for pages that are written from now on.",
        up=tuple(_option_changes(name, before, after)),
        down=tuple(_option_changes(name, after, before)),
    )


def _option_changes(name: Sql, before: Constraint, after: Constraint) -> Iterator[Sql]:
    old, new = (dict(getattr(one, "options", ())) for one in (before, after))
    missing = old.keys() - new.keys()
    if missing:
        yield Sql(f"ALTER INDEX {name} RESET ({identifiers(sorted(missing))})")
    if new:
        yield Sql(f"ALTER INDEX {name} SET ({options(sorted(new.items()))})")


def _exchanged(pair: Pair, table: Table, before: Constraint, after: Constraint) -> Iterator[Step]:
    """The new one under another name, then both names at once."""
    stand_in = replace(after, name=beside(after.name, "new"), comment=None)
    if isinstance(after, PrimaryKey) or (
        isinstance(after, Exclusion) or getattr(after, "without_overlaps", False)
    ):
        yield from _in_one(table, before, after)
        return
    for step in added(pair, table, stand_in):
        yield replace(step, phase="contract") if isinstance(after, Check | ForeignKey) else step
    old, new = identifier(before.name), identifier(stand_in.name)
    forth = (
        alter_table(table.name, Sql(f"DROP CONSTRAINT {old}")),
        alter_table(table.name, Sql(f"RENAME CONSTRAINT {new} TO {identifier(after.name)}")),
    )
    yield Step(
        name=slug("exchange", after.name),
        phase="contract",
        reason="The new constraint holds already: the old one goes, and the new one takes its name.",
        up=forth,
        down=(
            alter_table(table.name, Sql(f"RENAME CONSTRAINT {identifier(after.name)} TO {new}")),
            alter_table(table.name, Sql(f"ADD {constraint_clause(before)}")),
        ),
        again="there is no constraint of the other name any more (42704); nothing is changed",
        needs=(
            Reference("relation", table.name.schema, stand_in.name),
            validated(table.name, stand_in.name),
        ),
        frees=_target(before) if isinstance(before, Check | ForeignKey) else (),
    )


def _in_one(table: Table, before: Constraint, after: Constraint) -> Iterator[Step]:
    """A primary key: the index beforehand, then one for the other. The rest has no online form."""
    drop = alter_table(table.name, Sql(f"DROP CONSTRAINT {identifier(before.name)}"))
    back = (
        alter_table(table.name, Sql(f"DROP CONSTRAINT {identifier(after.name)}")),
        alter_table(table.name, Sql(f"ADD {constraint_clause(before)}")),
    )
    if not isinstance(after, PrimaryKey) or after.without_overlaps:
        yield replace(
            _blocking(table.name, after),
            up=(drop, alter_table(table.name, Sql(f"ADD {constraint_clause(after)}"))),
            down=back,
        )
        return
    built, put = _key(table, replace(after, name=beside(after.name, "new")))
    using = f"ADD CONSTRAINT {identifier(after.name)} PRIMARY KEY USING INDEX {identifier(beside(after.name, 'new'))}"
    yield built
    yield replace(
        put,
        phase="contract",
        up=(drop, alter_table(table.name, Sql(f"{using}{deferral(after.deferral)}"))),
        down=back,
        makes=(_exchanged_key(table.name, after.columns),),
    )
