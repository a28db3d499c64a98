"""What changes of a column that stays: default, NOT NULL, identity, storage, and types that need no new values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import optional_needs, sequence_options
from data_platform.ddl.types import sequence_pieces
from data_platform.migration.plan.columns import fill_step, identity_clause, ready
from data_platform.migration.plan.heavy import Outlook
from data_platform.migration.plan.not_null import not_null_name, optional, required
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import alter_column, alter_table, bare, beside, slug, spoken
from data_platform.model.database import Column, Database, Name, Sequence, SequenceOptions, Table
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import collation, default, number
from data_platform.sql.text import (
    Sql,
    expression,
    identifier,
    keyword,
    literal,
    options,
    qualified_name,
    relation_literal,
    type_name,
)


def steps(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step]:
    """Every change but one of type, collation or expression."""
    yield from _nullability(pair, table, old, new)
    if new.generated is None and old.generated is not None:
        yield _no_longer_computed(table, old, new)
    elif (old.default != new.default or _is_serial(old) != _is_serial(new)) and not (
        old.identity or new.identity
    ):
        yield _default(table, old, new)
    if _identity(old) != _identity(new):
        yield from _identities(pair, table, old, new)
    yield from _settings(table, old, new)


def _is_serial(column: Column) -> bool:
    return column.default is not None and "nextval(" in column.default


# --- NOT NULL ---


def _nullability(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step]:
    if old.nullable and not new.nullable:
        yield from _filled(pair, table, new)
        yield from required(table.name, new, pair.version, _required_from(pair, table, new))
    elif not old.nullable and new.nullable:
        yield optional(table.name, old, pair.version)
    elif not new.nullable:
        yield from _not_null_constraint(table, old, new)


def _filled(pair: Pair, table: Table, column: Column) -> Iterator[Step]:
    """Values for the rows that have none, where the author said which."""
    value = pair.hints.values.get((table.name, column.name))
    if value is not None:
        yield fill_step(table, ((column.name, expression(value)),), Sql(f"{identifier(column.name)} IS NULL"))


def _required_from(pair: Pair, table: Table, column: Column) -> Phase:
    """A primary key needs its columns NOT NULL before it is made, else it looks at every row under its lock."""
    after = next(one for one in pair.after.tables if one.name == table.name)
    if column.identity is not None:
        return "expand"
    if after.primary_key is not None and column.name in after.primary_key.columns:
        return ready(pair, table.name, after.primary_key.columns)
    return "backfill" if (table.name, column.name) in pair.hints.values else "contract"


def _not_null_constraint(table: Table, old: Column, new: Column) -> Iterator[Step]:
    """A NOT NULL that has another name now, or is validated."""
    before, after = not_null_name(table.name, old), not_null_name(table.name, new)
    if before != after:
        yield Step(
            name=slug("rename", before),
            phase="contract",
            reason="Only the name of a constraint changes.",
            up=(_renamed(table, before, after),),
            down=(_renamed(table, after, before),),
            again="there is no constraint of the old name any more (42704); nothing is changed",
        )
    validated = old.not_null is not None and not old.not_null.validated
    if validated and (new.not_null is None or new.not_null.validated):
        yield Step(
            name=slug("validate", after),
            phase="contract",
            reason="Reads every row under a lock that lets clients read and write.",
            up=(alter_table(table.name, Sql(f"VALIDATE CONSTRAINT {identifier(after)}")),),
            one_way="what is proven of the rows stays true",
        )


def _renamed(table: Table, before: str, after: str) -> Sql:
    return alter_table(table.name, Sql(f"RENAME CONSTRAINT {identifier(before)} TO {identifier(after)}"))


# --- defaults, identities, expressions ---


def _default(table: Table, old: Column, new: Column) -> Step:
    return Step(
        name=slug("default", table.name, new.name),
        phase="expand",
        reason="It holds for rows that come; those that are there keep their value.",
        up=(alter_table(table.name, _default_action(new)),),
        down=(alter_table(table.name, _default_action(old)),),
        needs=optional_needs(new.default),
        frees=optional_needs(old.default),
    )


def _default_action(column: Column) -> Sql:
    if column.default is None:
        return alter_column(column.name, "DROP DEFAULT")
    return alter_column(column.name, f"SET DEFAULT {default(column.default)}")


def _no_longer_computed(table: Table, old: Column, new: Column) -> Step:
    actions = [alter_column(new.name, "DROP EXPRESSION IF EXISTS")]
    if new.default is not None:
        actions.append(alter_column(new.name, f"SET DEFAULT {default(new.default)}"))
    return Step(
        name=slug("plain", table.name, new.name),
        phase="expand",
        reason="The values that were computed stay; from now on clients write them.",
        up=(alter_table(table.name, *actions),),
        one_way=f"{spoken(table.name, old.name)} cannot be made a generated column again without writing every row",
    )


def _identity(column: Column) -> object:
    return column.identity, column.sequence, column.sequence_name


def _identities(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step]:
    """To, from and between identities."""
    if old.identity is None and new.identity is not None:
        yield from _to_identity(pair, table, old, new)
    elif old.identity is not None and new.identity is None:
        yield Step(
            name=slug("no_identity", table.name, new.name),
            phase="contract",
            reason="Numbers come from the default, or from the clients.",
            up=(alter_table(table.name, *_without_identity(new)),),
            down=(
                *([alter_table(table.name, alter_column(old.name, "DROP DEFAULT"))] if new.default else []),
                alter_table(table.name, alter_column(old.name, f"ADD {identity_clause(old)}")),
                _continued_by_rows(table, old),
            ),
            ends_old=True,
        )
    else:
        yield _other_identity(table, old, new)


def _without_identity(new: Column) -> tuple[Sql, ...]:
    dropped = alter_column(new.name, "DROP IDENTITY IF EXISTS")
    return (dropped, _default_action(new)) if new.default is not None else (dropped,)


def _to_identity(pair: Pair, table: Table, old: Column, new: Column) -> Iterator[Step]:
    """Serial to identity: the same numbers go on from another sequence."""
    lock = Sql(f"LOCK TABLE {qualified_name(table.name)} IN ACCESS EXCLUSIVE MODE")
    dropped = [alter_column(old.name, "DROP DEFAULT")] if old.default is not None else []
    back = [alter_column(old.name, "DROP IDENTITY IF EXISTS")]
    if old.default is not None:
        back.append(_default_action(old))
    serial = next((one for one in pair.before.sequences if _is_for(one, table, old)), None)
    identity = alter_column(new.name, f"ADD {identity_clause(new)}")
    yield Step(
        name=slug("identity", table.name, new.name),
        phase="expand",
        reason="No row is touched. The identity's numbers go on where the sequence of the default stopped."
        if serial
        else "No row is touched; where its numbers begin is the next step.",
        up=(lock, alter_table(table.name, *dropped), *_exchanged(table, new, serial, identity))
        if serial
        else (lock, alter_table(table.name, *dropped, identity)),
        down=(lock, *_serial_again(table, old, new, serial, back))
        if serial
        else (alter_table(table.name, *back),),
        again="the column is an identity already (55000); nothing is changed",
        frees=optional_needs(old.default),
    )
    if serial is None:
        yield Step(
            name=slug("number_on", table.name, new.name),
            phase="expand",
            reason="The identity's numbers go on after the largest that is there. Looking for it may read the whole"
            " table, under a lock that nobody waits for; no client leaves the number to the column yet.",
            up=(_continued_by_rows(table, new),),
            one_way="the sequence goes with the identity",
        )


def _is_for(sequence: Sequence, table: Table, column: Column) -> bool:
    return sequence.owned_by == (table.name, column.name)


def _exchanged(table: Table, column: Column, serial: Sequence, identity: Sql) -> Iterator[Sql]:
    """The identity with its sequence, which may need the name of the old one."""
    spare = Name(serial.name.schema, beside(serial.name.name, "old"))
    yield Sql(f"ALTER SEQUENCE {qualified_name(serial.name)} RENAME TO {identifier(spare.name)}")
    yield alter_table(table.name, identity)
    yield Sql(
        f"SELECT setval({_sequence_of(table, column)}, nextval({relation_literal(spare)}::regclass), false)"
    )
    yield Sql(f"DROP SEQUENCE {qualified_name(spare)}")


def _serial_again(table: Table, old: Column, new: Column, serial: Sequence, back: list[Sql]) -> Iterator[Sql]:
    name = qualified_name(serial.name)
    own = new.sequence_name or Name(table.name.schema, default_name(table.name.name, new.name, "seq"))
    spare = beside(own.name, "new")
    yield Sql(f"ALTER SEQUENCE {qualified_name(own)} RENAME TO {identifier(spare)}")
    for piece in sequence_pieces(serial):
        yield bare(piece.statement.sql)
    literal_ = relation_literal(Name(own.schema, spare))
    yield Sql(
        f"SELECT setval({relation_literal(serial.name)}::regclass, nextval({literal_}::regclass), false)"
    )
    yield alter_table(table.name, *back)
    yield Sql(f"ALTER SEQUENCE {name} OWNED BY {qualified_name(table.name)}.{identifier(old.name)}")


def without_consumed(pair: Pair) -> Pair:
    """The pair without the sequences that go when their column becomes an identity."""
    after = {(table.name, column.name): column for table in pair.after.tables for column in table.columns}
    kept = {sequence.name for sequence in pair.after.sequences}
    consumed = {
        sequence.name
        for sequence in pair.before.sequences
        if sequence.owned_by in after and after[sequence.owned_by].identity and sequence.name not in kept
    }
    sequences = tuple(one for one in pair.before.sequences if one.name not in consumed)
    return (
        pair
        if sequences == pair.before.sequences
        else replace(pair, before=replace(pair.before, sequences=sequences))
    )


def _sequence_of(table: Table, column: Column) -> Sql:
    return Sql(f"pg_get_serial_sequence({relation_literal(table.name)}, {literal(column.name)})")


def _continued_by_rows(table: Table, column: Column) -> Sql:
    sequence, name = _sequence_of(table, column), identifier(column.name)
    largest = f"max({name})) FROM {qualified_name(table.name)} HAVING max({name}) IS NOT NULL"
    return Sql(f"SELECT setval({sequence}, {largest}")


def _other_identity(table: Table, old: Column, new: Column) -> Step:
    return Step(
        name=slug("identity", table.name, new.name),
        phase="expand",
        reason="Only the catalog changes; numbers that were given stay.",
        up=(alter_table(table.name, *_identity_actions(new)),),
        down=(alter_table(table.name, *_identity_actions(old)),),
    )


def _identity_actions(column: Column) -> Iterator[Sql]:
    assert column.identity is not None
    yield alter_column(column.name, f"SET GENERATED {keyword(column.identity)}")
    said = sequence_options(column.sequence or SequenceOptions())
    for option in _ALL_OPTIONS if not said else ():
        yield alter_column(column.name, f"SET {option}")
    if said:
        yield alter_column(
            column.name, " ".join(f"SET {line.strip()}" for line in str(said).splitlines() if line.strip())
        )


_ALL_OPTIONS = ("INCREMENT BY 1", "NO MINVALUE", "NO MAXVALUE", "START WITH 1", "CACHE 1", "NO CYCLE")


# --- storage ---


def _settings(table: Table, old: Column, new: Column) -> Iterator[Step]:
    forth, back = list(_setting_actions(old, new)), list(_setting_actions(new, old))
    if forth:
        yield Step(
            name=slug("settings", table.name, new.name),
            phase="expand",
            reason="It holds for values that are written from now on, or for the next ANALYZE.",
            up=(alter_table(table.name, *forth),),
            down=(alter_table(table.name, *back),),
        )


def _setting_actions(old: Column, new: Column) -> Iterator[Sql]:
    if old.storage != new.storage:
        yield alter_column(new.name, f"SET STORAGE {keyword(new.storage or 'default')}")
    if old.compression != new.compression:
        yield alter_column(new.name, f"SET COMPRESSION {new.compression or 'default'}")
    if old.statistics != new.statistics:
        yield alter_column(
            new.name, f"SET STATISTICS {number(-1 if new.statistics is None else new.statistics)}"
        )
    gone = [key for key, _ in old.options if key not in dict(new.options)]
    if gone:
        yield alter_column(new.name, f"RESET ({', '.join(map(identifier, gone))})")
    if old.options != new.options and new.options:
        yield alter_column(new.name, f"SET ({options(new.options)})")


# --- types ---


def same_values(pair: Pair, table: Table, old: Column, new: Column) -> Step | None:
    """The change of type in place, if PostgreSQL keeps every row and every index as it is; else None."""
    if (table.name, new.name) in pair.hints.values or old.generated or new.generated:
        return None
    for setting in ((), (Sql("SET LOCAL TimeZone = 'UTC'"),)):
        statement = alter_table(table.name, _type_action(new))
        if not Outlook(pair.before, pair.version).blocking(*setting, statement):
            return _in_place(pair, table, old, new, setting)
    return None


def _in_place(pair: Pair, table: Table, old: Column, new: Column, setting: tuple[Sql, ...]) -> Step:
    down = alter_table(table.name, _type_action(old))
    narrower = Outlook(_with_column(pair, table, new), pair.version).blocking(*setting, down)
    zone = " The values are taken as UTC: only then do they stay as they are." if setting else ""
    return Step(
        name=slug("type", table.name, new.name),
        phase="expand",
        reason=f"Every value of the old type is stored as one of the new type: no row is written.{zone}",
        up=(*setting, alter_table(table.name, _type_action(new))),
        down=(*setting, down),
        one_way="values that only the new type holds would be refused or cut, and every row read"
        if narrower
        else None,
    )


def _with_column(pair: Pair, table: Table, new: Column) -> Database:
    columns = tuple(new if column.name == new.name else column for column in table.columns)
    tables = tuple(replace(t, columns=columns) if t.name == table.name else t for t in pair.before.tables)
    return replace(pair.before, tables=tables)


def _type_action(column: Column) -> Sql:
    collated = f" COLLATE {collation(column.collation)}" if column.collation else ""
    return alter_column(column.name, f"TYPE {type_name(column.type)}{collated}")


def rewritten(pair: Pair, table: Table, old: Column, new: Column, why: str) -> Step:
    """The change of type in place, which writes every row: where a shadow column is no way out."""
    using = pair.hints.values.get((table.name, new.name))
    value = using if using is not None else f"{identifier(old.name)}::{type_name(new.type)}"
    actions = [_type_action(new) + Sql(f" USING {value}")]
    if old.default is not None:
        actions.insert(0, alter_column(new.name, "DROP DEFAULT"))
    if new.default is not None:
        actions.append(_default_action(new))
    back = [Sql(_type_action(old) + f" USING {identifier(old.name)}::{type_name(old.type)}")]
    if new.default is not None:
        back.insert(0, alter_column(new.name, "DROP DEFAULT"))
    if old.default is not None:
        back.append(_default_action(old))
    return Step(
        name=slug("type", table.name, new.name),
        phase="contract",
        reason=f"Every row is written anew under a lock that keeps everybody out: {why}.",
        up=(alter_table(table.name, *map(Sql, actions)),),
        down=(alter_table(table.name, *back),),
        blocks=why,
        ends_old=True,
    )
