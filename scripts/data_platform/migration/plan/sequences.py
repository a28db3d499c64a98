"""Sequences that stand by themselves or belong to a column with a default; those of identities go with their column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import relation
from data_platform.ddl.types import sequence_pieces
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.making import makes, repeatable
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.model.database import Name, Sequence
from data_platform.sql.phrases import number
from data_platform.sql.text import Sql, identifier, qualified_name, relation_literal

_BITS = {"smallint": 15, "integer": 31, "bigint": 63}


def steps(pair: Pair) -> Iterator[Step]:
    """Sequences that are new or changed; one that is gone lets go of its column before that goes."""
    found = changes(pair.before.sequences, pair.after.sequences)
    kept = {table.name for table in pair.before.tables}
    for sequence in found.added:
        yield _added(sequence)
        if sequence.owned_by is not None and sequence.owned_by[0] in kept:
            yield _owned(sequence, None)
    for old, new in found.changed:
        if old.owned_by is not None and old.owned_by != new.owned_by and not _stays(pair, old.owned_by):
            yield _let_go(old)
            old = replace(old, owned_by=None)  # noqa: PLW2901 - as it is after that
        yield from _changed(old, new)
    for sequence in found.removed:
        if sequence.owned_by is not None and not _stays(pair, sequence.owned_by):
            yield _let_go(sequence)


def gone(pair: Pair) -> Iterator[Step]:
    """Sequences that are gone, for the end of all: no default may take numbers from them."""
    for sequence in changes(pair.before.sequences, pair.after.sequences).removed:
        yield _removed(pair, sequence)


def _stays(pair: Pair, column: tuple[Name, str]) -> bool:
    return any(
        table.name == column[0] and any(one.name == column[1] for one in table.columns)
        for table in pair.after.tables
    )


def _let_go(sequence: Sequence) -> Step:
    """So that the way back finds a sequence for the column's default, and gives it to the column after that."""
    return Step(
        name=slug("let_go", sequence.name),
        phase="contract",
        reason="Its column goes, and would take it along; it is dropped by itself at the end.",
        up=(Sql(f"ALTER SEQUENCE IF EXISTS {qualified_name(sequence.name)} OWNED BY NONE"),),
        down=(_owned_action(sequence, sequence.owned_by),),
    )


def _added(sequence: Sequence) -> Step:
    pieces = list(sequence_pieces(sequence))
    return Step(
        name=slug("create", sequence.name),
        phase="expand",
        reason="Nobody takes numbers from it yet.",
        up=repeatable(pieces),
        down=(_drop(sequence),),
        makes=makes(pieces),
    )


def _drop(sequence: Sequence) -> Sql:
    return Sql(f"DROP SEQUENCE IF EXISTS {qualified_name(sequence.name)}")


def _removed(pair: Pair, sequence: Sequence) -> Step:
    name = qualified_name(sequence.name)
    made = with_rights(pair.before, "sequence", name, sequence, repeatable(sequence_pieces(sequence)))
    return Step(
        name=slug("drop", sequence.name),
        phase="contract",
        reason="Nobody takes numbers from it any more.",
        up=(_drop(sequence),),
        down=(*made, *_given_back(pair, sequence)),
        keep=f"SELECT last_value FROM {name}; it starts anew when it is made again"  # noqa: S608 - a quoted name
        if not sequence.owned_by
        else None,
        ends_old=True,
        drops=(relation(sequence.name),),
    )


def _given_back(pair: Pair, sequence: Sequence) -> Iterator[Sql]:
    """To its column, if that stays, and on from its largest number."""
    if sequence.owned_by is not None and _stays(pair, sequence.owned_by):
        table, column = sequence.owned_by
        yield _owned_action(sequence, sequence.owned_by)
        literal_ = relation_literal(sequence.name)
        yield Sql(
            f"SELECT setval({literal_}::regclass, max({identifier(column)})) FROM {qualified_name(table)} "  # noqa: S608 - a quoted name
            f"HAVING max({identifier(column)}) IS NOT NULL"
        )


# --- changed ---


def _changed(old: Sequence, new: Sequence) -> Iterator[Step]:
    if (old.type, old.sequence) != (new.type, new.sequence):
        yield _settings(old, new)
    if old.owned_by != new.owned_by:
        yield _owned(new, old)
    if old.unlogged != new.unlogged:
        yield Step(
            name=slug("logged" if old.unlogged else "unlogged", new.name),
            phase="expand",
            reason="One row is written anew.",
            up=(_logged(new),),
            down=(_logged(old),),
        )


def _settings(old: Sequence, new: Sequence) -> Step:
    turned = ((old.sequence.increment or 1) > 0) != ((new.sequence.increment or 1) > 0)
    smaller = _BITS[new.type] < _BITS[old.type]
    return Step(
        name=slug("settings", new.name),
        phase="contract" if smaller else "expand",
        reason="It counts the other way from its start: the next number would be out of its bounds."
        if turned
        else "It holds for numbers that are taken from now on; the next number stays.",
        up=(_options(new, turned=turned),),
        down=(_options(old, turned=turned),),
    )


def _options(sequence: Sequence, *, turned: bool) -> Sql:
    """All of them in numbers: what ALTER makes of NO MAXVALUE depends on what was there."""
    given = sequence.sequence
    increment = 1 if given.increment is None else given.increment
    lowest, highest = _limits(sequence.type, ascends=increment > 0)
    low = lowest if given.minimum is None else given.minimum
    high = highest if given.maximum is None else given.maximum
    usual = low if increment > 0 else high
    words = [
        f"AS {sequence.type}",
        f"INCREMENT BY {number(increment)}",
        f"MINVALUE {number(low)}",
        f"MAXVALUE {number(high)}",
        f"START WITH {number(usual if given.start is None else given.start)}",
        f"CACHE {number(given.cache or 1)}",
        "CYCLE" if given.cycle else "NO CYCLE",
        *(["RESTART"] if turned else []),
    ]
    return Sql(f"ALTER SEQUENCE {qualified_name(sequence.name)} {' '.join(words)}")


def _limits(type_: str, *, ascends: bool) -> tuple[int, int]:
    most: int = 2 ** _BITS[type_] - 1
    return (1, most) if ascends else (-most - 1, -1)


def _owned(new: Sequence, old: Sequence | None) -> Step:
    """In contract, for the column may be a new one."""
    return Step(
        name=slug("owned_by", new.name),
        phase="contract",
        reason="It is dropped with its column from now on." if new.owned_by else "It outlives its column.",
        up=(_owned_action(new, new.owned_by),),
        down=(_owned_action(new, old.owned_by if old else None),),
        needs=(relation(new.name), *((relation(new.owned_by[0]),) if new.owned_by else ())),
    )


def _owned_action(sequence: Sequence, column: tuple[Name, str] | None) -> Sql:
    to = "NONE" if column is None else f"{qualified_name(column[0])}.{identifier(column[1])}"
    return Sql(f"ALTER SEQUENCE {qualified_name(sequence.name)} OWNED BY {to}")


def _logged(sequence: Sequence) -> Sql:
    word = "UNLOGGED" if sequence.unlogged else "LOGGED"
    return Sql(f"ALTER SEQUENCE {qualified_name(sequence.name)} SET {word}")
