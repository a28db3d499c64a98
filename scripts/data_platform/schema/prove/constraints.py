"""Every constraint tried: a row that the table accepts, with one thing changed so that exactly one constraint breaks.

The row is first inserted as it is (and rolled back). What refuses the changed row is therefore the change, and the
server names the constraint. A row that nothing refuses is a failed proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import postgast
import psycopg

from data_platform.model.database import (
    Check,
    Database,
    Domain,
    Enum,
    Exclusion,
    ForeignKey,
    Index,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.postgres.synthetic import Generator
from data_platform.schema.prove.result import Probe
from data_platform.sql.statements import column_references
from data_platform.sql.text import (
    expression_tree,
    identifier,
    identifiers,
    literal,
    qualified,
    qualified_name,
)

Connection = psycopg.Connection[Any]
Row = Mapping[str, str | None]
Key = PrimaryKey | Unique | Index

NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION = "23502", "23503", "23505", "23514", "23P01"
BAD_TEXT = "22P02"
MAX_ATTEMPTS = 150
MAX_SET_ASIDE = 6
"""Other constraints that are dropped to see one refuse on its own."""
MAX_ROWS = 5
"""Existing rows whose key is tried."""


@dataclass(frozen=True)
class Attempt:
    """What became of one INSERT; `sqlstate` None means it was accepted."""

    sqlstate: str | None
    constraint: str | None = None
    column: str | None = None
    message: str = ""

    def broke(self, sqlstate: str, constraint: str) -> bool:
        """Whether that constraint refused it for that reason."""
        return self.sqlstate == sqlstate and self.constraint == constraint


@dataclass(frozen=True)
class Prober:
    """Tries rows on one connection; everything is rolled back."""

    connection: Connection
    generator: Generator
    database: Database

    def constraints(self) -> Iterator[Probe]:
        """One probe for each constraint, unique index, NOT NULL, enum and domain of the database."""
        for type_ in self.database.types:
            if isinstance(type_, Enum):
                yield self._enum(type_)
            elif isinstance(type_, Domain):
                yield from self._domain(type_)
        for table in self.database.tables:
            yield from self._table(table)

    def fresh(self, table: Table, pins: Row | None = None) -> Row | None:
        """One more valid row. Where every parent has its only child already, new parents are inserted for it."""
        row = self.generator.fresh(self.connection, table.name, pins or {})
        if row is not None or not table.foreign_keys:
            return row
        made: dict[str, str | None] = dict(pins or {})
        for key in table.foreign_keys:
            if key.target == table.name or set(key.columns) & set(made):
                continue
            parent = self.database.table(key.target)
            parent_row = self.fresh(parent)
            if parent_row is None:
                return None
            returned = self.insert(parent, parent_row, key.target_columns)
            made |= dict(zip(key.columns, returned, strict=True))
        return self.generator.fresh(self.connection, table.name, made)

    def insert(self, table: Table, row: Row, returning: tuple[str, ...]) -> tuple[str, ...]:
        """INSERT the row for good (the caller rolls back); the input texts of the `returning` columns."""
        texts = ", ".join(f"{identifier(name)}::text" for name in returning)
        made = self.connection.execute(f"{insert_sql(table, row)} RETURNING {texts}".encode()).fetchone()
        assert made is not None
        return tuple(made)

    def try_insert(self, table: Table, row: Row, expected: str | None = None) -> Attempt:
        """INSERT the row with its constraints checked at once, and take it back.

        If another constraint than the `expected` one refuses it first, that one is dropped (and with everything else
        taken back), so that each constraint is seen to refuse on its own.
        """
        with self.connection.transaction(force_rollback=True):
            for _ in range(MAX_SET_ASIDE):
                attempt = _attempt(self.connection, insert_sql(table, row))
                if expected is None or attempt.constraint in (None, expected):
                    break
                if not self._set_aside(table, attempt.constraint):
                    break
            return attempt

    def _set_aside(self, table: Table, name: str) -> bool:
        """Drop another constraint or unique index of the table; False if it has none of that name."""
        if name in {constraint.name for constraint in table.constraints}:
            sql = f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(name)} CASCADE"
        elif name in {index.name for index in table.indexes}:
            sql = f"DROP INDEX {qualified_name(Name(table.name.schema, name))} CASCADE"
        else:
            return False
        self.connection.execute(sql.encode())
        return True

    def _table(self, table: Table) -> Iterator[Probe]:
        with self.connection.transaction(force_rollback=True):
            valid = self.fresh(table)
            attempt = self.try_insert(table, valid) if valid is not None else None
            if valid is None or attempt is None or attempt.sqlstate is not None:
                reason = (
                    attempt.message if attempt else "no valid row of its own could be made for this table"
                )
                yield from (
                    _probe(kind, table, name, "not checked", f"no row to start from: `{reason}`")
                    for kind, name in _claims(table)
                )
                return
            yield from self._not_nulls(table, valid)
            keys: list[Key] = [key for key in (table.primary_key, *table.uniques) if key]
            keys += [index for index in table.indexes if index.unique]
            for key in keys:
                yield self._key(table, key, valid)
            for check in table.checks:
                yield self._check(table, check, valid)
            for exclusion in table.exclusions:
                yield self._exclusion(table, exclusion, valid)
            for foreign_key in table.foreign_keys:
                yield self._foreign_key(table, foreign_key, valid)

    # --- one kind of constraint each ---

    def _not_nulls(self, table: Table, valid: Row) -> Iterator[Probe]:
        for column in table.columns:
            if column.nullable or column.generated or column.identity:
                continue
            attempt = self.try_insert(table, {**valid, column.name: None})
            refused = attempt.sqlstate == NOT_NULL and attempt.column == column.name
            # A domain may refuse NULL before the column does.
            refused = refused or attempt.sqlstate == NOT_NULL
            yield _judged("not null", table, column.name, attempt, refused, "NULL")

    def _key(self, table: Table, key: Key, valid: Row) -> Probe:
        kind = "primary key" if isinstance(key, PrimaryKey) else "unique"
        columns = _key_columns(key)
        last: Attempt | None = None
        for row in self._rows_under(table, key):
            for changed in (
                {**valid, **{name: row[name] for name in columns if name in row}},
                {**row, **self._other_keys(table, key, valid)},
            ):
                attempt = self.try_insert(table, changed, key.name)
                if attempt.broke(UNIQUE, key.name):
                    return _refused(kind, table, key.name, attempt, "the key of another row")
                last = attempt if last is None or attempt.sqlstate is None else last
        if last is None:
            return _probe(kind, table, key.name, "not checked", "the table has no row under this key")
        return _unproven(kind, table, key.name, last, "the key of another row")

    def _check(self, table: Table, check: Check, valid: Row) -> Probe:
        columns = [name for name in _columns_in(check.expression, table) if name in valid]
        tried = 0
        for changed in islice(
            _breaking_values(self.database, table, check.expression, columns, valid), MAX_ATTEMPTS
        ):
            attempt = self.try_insert(table, {**valid, **changed}, check.name)
            tried += 1
            if attempt.broke(CHECK, check.name):
                return _refused("check", table, check.name, attempt, _shown(changed))
        return _probe("check", table, check.name, "not checked", f"none of {tried} rows tried breaks it")

    def _exclusion(self, table: Table, exclusion: Exclusion, valid: Row) -> Probe:
        columns = {name for item in exclusion.elements for name in _element_columns(item.element, table)}
        columns |= set(_columns_in(exclusion.where, table)) if exclusion.where else set()
        last: Attempt | None = None
        for row in self._sample(table, exclusion.where):
            changed = {**valid, **{name: row[name] for name in columns if name in row}}
            attempt = self.try_insert(table, changed, exclusion.name)
            if attempt.broke(EXCLUSION, exclusion.name):
                return _refused("exclusion", table, exclusion.name, attempt, "the values of another row")
            last = attempt
        if last is None:
            return _probe("exclusion", table, exclusion.name, "not checked", "the table has no row under it")
        return _unproven("exclusion", table, exclusion.name, last, "the values of another row")

    def _foreign_key(self, table: Table, key: ForeignKey, valid: Row) -> Probe:
        absent = self._absent_key(key)
        if absent is None:
            return _probe(
                "foreign key", table, key.name, "not checked", "no value was found that the target lacks"
            )
        attempt = self.try_insert(table, {**valid, **dict(zip(key.columns, absent, strict=True))}, key.name)
        if attempt.broke(FOREIGN_KEY, key.name):
            return _refused("foreign key", table, key.name, attempt, "a key that the target does not have")
        return _unproven("foreign key", table, key.name, attempt, "a key that the target does not have")

    def _enum(self, type_: Enum) -> Probe:
        label = "dpe: no such label"
        attempt = _attempt(self.connection, f"SELECT {literal(label)}::{qualified_name(type_.name)}")
        return _judged_type(
            "enum", type_.name, str(type_.name), attempt, attempt.sqlstate == BAD_TEXT, f"`{label}`"
        )

    def _domain(self, type_: Domain) -> Iterator[Probe]:
        name = qualified_name(type_.name)
        if not type_.nullable:
            attempt = _attempt(self.connection, f"SELECT CAST(NULL AS {name})")
            yield _judged_type(
                "not null", type_.name, "NOT NULL", attempt, attempt.sqlstate == NOT_NULL, "NULL"
            )
        for check in type_.checks:
            tried = 0
            probe = None
            for value in _candidates(self.database, type_.base, _constants(check.expression)):
                if value is None:
                    continue
                attempt = _attempt(self.connection, f"SELECT {literal(value)}::{name}")
                tried += 1
                if attempt.broke(CHECK, check.name):
                    probe = _judged_type("check", type_.name, check.name, attempt, True, f"`{value!r}`")
                    break
            missing = f"none of {tried} values tried breaks it"
            yield probe or Probe(
                kind="check", table=type_.name, constraint=check.name, state="not checked", detail=missing
            )

    # --- rows and values to break things with ---

    def _rows_under(self, table: Table, key: Key) -> list[Row]:
        where = key.where if isinstance(key, Index) else None
        rows = self._sample(table, where)
        if isinstance(key, PrimaryKey) or key.nulls_not_distinct:
            return rows
        elements = key.columns if isinstance(key, Unique) else [e.column for e in key.elements if e.column]
        plain = [name for name in elements if rows and name in rows[0]]
        return [row for row in rows if all(row[name] is not None for name in plain)]

    def _sample(self, table: Table, where: str | None) -> list[Row]:
        names = [column.name for column in table.columns if not column.generated]
        texts = ", ".join(f"{identifier(name)}::text" for name in names)
        predicate = f" WHERE {where}" if where else ""
        query = f"SELECT {texts} FROM {qualified_name(table.name)}{predicate} LIMIT {MAX_ROWS}"  # noqa: S608
        return [dict(zip(names, row, strict=True)) for row in self.connection.execute(query.encode())]

    def _other_keys(self, table: Table, key: Key, valid: Row) -> Row:
        """Fresh values for the columns of all other keys, so that only `key` is broken."""
        own = set(_key_columns(key))
        keys: list[Key] = [other for other in (table.primary_key, *table.uniques) if other]
        keys += [index for index in table.indexes if index.unique]
        others = {name for other in keys if other.name != key.name for name in _key_columns(other)}
        return {name: valid[name] for name in others - own if name in valid}

    def _absent_key(self, key: ForeignKey) -> tuple[str, ...] | None:
        target = self.database.table(key.target)
        fresh = self.generator.fresh(self.connection, target.name) or {}
        values = [fresh.get(name) or self._beyond(target, name) for name in key.target_columns]
        return tuple(value for value in values if value is not None) if None not in values else None

    def _beyond(self, table: Table, column: str) -> str | None:
        """A number that no row of the table has."""
        query = f"SELECT (max({identifier(column)}) + 1000)::text FROM {qualified_name(table.name)}"  # noqa: S608
        try:
            with self.connection.transaction():
                row = self.connection.execute(query.encode()).fetchone()
        except psycopg.Error:
            return None
        return row[0] if row else None


def insert_sql(table: Table, row: Row) -> str:
    """INSERT of input texts; an identity column accepts the given value."""
    values = ", ".join("NULL" if value is None else literal(value) for value in row.values())
    return (
        f"INSERT INTO {qualified_name(table.name)} ({identifiers(row)}) "  # noqa: S608 - quoted names and literals
        f"OVERRIDING SYSTEM VALUE VALUES ({values})"
    )


def _attempt(connection: Connection, sql: str) -> Attempt:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.encode())
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        diag = error.diag
        return Attempt(
            error.sqlstate or "?", diag.constraint_name, diag.column_name, diag.message_primary or str(error)
        )
    return Attempt(None)


# --- judging ---


def _claims(table: Table) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        if not (column.nullable or column.generated or column.identity):
            yield "not null", column.name
    kinds = {PrimaryKey: "primary key", Unique: "unique", Check: "check", Exclusion: "exclusion"}
    for constraint in table.constraints:
        yield kinds.get(type(constraint), "foreign key"), constraint.name
    for index in table.indexes:
        if index.unique:
            yield "unique", index.name


def _probe(kind: str, table: Table, name: str, state: Any, detail: str) -> Probe:
    return Probe(kind=kind, table=table.name, constraint=name, state=state, detail=detail)


def _refused(kind: str, table: Table, name: str, attempt: Attempt, tried: str) -> Probe:
    return _probe(kind, table, name, "proven", f"{tried}: refused ({attempt.sqlstate})")


def _judged(kind: str, table: Table, name: str, attempt: Attempt, refused: bool, tried: str) -> Probe:
    return (
        _refused(kind, table, name, attempt, tried)
        if refused
        else _unproven(kind, table, name, attempt, tried)
    )


def _judged_type(kind: str, type_: Name, name: str, attempt: Attempt, refused: bool, tried: str) -> Probe:
    if refused:
        return Probe(
            kind=kind,
            table=type_,
            constraint=name,
            state="proven",
            detail=f"{tried}: refused ({attempt.sqlstate})",
        )
    return Probe(kind=kind, table=type_, constraint=name, state="failed", detail=f"{tried}: accepted")


def _unproven(kind: str, table: Table, name: str, attempt: Attempt, tried: str) -> Probe:
    """Accepted is a failure; refused by something else proves nothing about this constraint."""
    if attempt.sqlstate is None:
        return _probe(kind, table, name, "failed", f"{tried}: accepted")
    return _probe(
        kind,
        table,
        name,
        "not checked",
        f"{tried}: refused, but by `{attempt.constraint or attempt.message}`",
    )


def _shown(changed: Row) -> str:
    pairs = (f"{name} = {'NULL' if value is None else repr(value)[:40]}" for name, value in changed.items())
    return f"`{', '.join(pairs)}`"


# --- reading expressions ---


def _key_columns(key: Key) -> tuple[str, ...]:
    if not isinstance(key, Index):
        return key.columns
    columns = [name for element in key.elements for name in _element_names(element)]
    columns += _names_in(key.where) if key.where else []
    return tuple(dict.fromkeys(columns))


def _element_names(element: Any) -> list[str]:
    return [element.column] if element.column else _names_in(element.expression)


def _element_columns(element: Any, table: Table) -> list[str]:
    known = {column.name for column in table.columns}
    return [name for name in _element_names(element) if name in known]


def _names_in(text: str) -> list[str]:
    return list(dict.fromkeys(parts[-1] for parts in column_references(expression_tree(text))))


def _columns_in(text: str, table: Table) -> list[str]:
    known = {column.name for column in table.columns}
    return [name for name in _names_in(text) if name in known]


def _constants(text: str) -> list[str]:
    """The constants of an expression as input texts."""
    found = []
    for node in postgast.find_nodes(expression_tree(text), postgast.pg_query_pb2.A_Const):
        match node.WhichOneof("val"):
            case "ival":
                found.append(str(node.ival.ival))
            case "fval":
                found.append(node.fval.fval)
            case "sval":
                found.append(node.sval.sval)
    return list(dict.fromkeys(found))


def _breaking_values(
    database: Database, table: Table, text: str, columns: Sequence[str], valid: Row
) -> Iterator[dict[str, str | None]]:
    """Changes to the check's columns, the simplest first: one column, another column's value, then two columns."""
    constants = _constants(text)
    options = {name: _candidates(database, table.column(name).type, constants) for name in columns}
    for name in columns:
        for value in options[name]:
            yield {name: value}
    for name, other in product(columns, columns):
        if name != other:
            yield {name: valid[other]}
            yield {name: valid[other], other: valid[name]}
    for name, other in product(columns, columns):
        if name < other:
            for value, second in product(options[name], options[other]):
                yield {name: value, other: second}


_NUMBERS = ("-1", "0", "1", "-1000000", "32767", "2147483647", "9999999")
_TEXTS = ("", " ", "x", "X", "dpe!", "0", "a b", "é", "x" * 300)
_TIMES = ("infinity", "-infinity", "1900-01-01", "2999-12-31")
_BY_TYPE: Mapping[str, Sequence[str]] = {
    "smallint": _NUMBERS,
    "integer": _NUMBERS,
    "bigint": _NUMBERS,
    "numeric": (*_NUMBERS, "NaN", "0.001"),
    "real": (*_NUMBERS, "NaN"),
    "double precision": (*_NUMBERS, "NaN"),
    "money": ("-1", "0", "1"),
    "boolean": ("true", "false"),
    "date": _TIMES,
    "timestamp": _TIMES,
    "time": ("00:00", "23:59:59"),
    "interval": ("-1 day", "0", "1000 years"),
    "jsonb": ("null", "[]", "{}", '"x"', "1", "[1]"),
    "json": ("null", "[]", "{}", '"x"', "1"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "range": ("empty", "(,)"),
    "array": ("{}", "{NULL}"),
    "text": _TEXTS,
}


def _candidates(database: Database, type_: str, constants: Sequence[str]) -> list[str | None]:
    """Input texts worth trying for a column of this type: near the expression's constants, then the extremes."""
    labels = [
        label
        for t in database.types
        if isinstance(t, Enum) and _spelled(t.name) == type_
        for label in t.labels
    ]
    for domain in database.types:
        if isinstance(domain, Domain) and _spelled(domain.name) == type_:
            return _candidates(database, domain.base, constants)
    near = [text for constant in constants for text in _around(constant)]
    return list(dict.fromkeys([None, *labels, *near, *_BY_TYPE[_family(type_)]]))


def _spelled(name: Name) -> str:
    return qualified(name.schema, name.name)


def _around(constant: str) -> list[str]:
    try:
        number = int(constant)
    except ValueError:
        return [constant, constant + "x", constant[:-1]]
    # A small whole number may bound the length of a text or an array as well as a value.
    lengths = [length for length in (number - 1, number, number + 1) if 0 <= length <= 300]
    arrays = ["{" + ",".join(["NULL"] * length) + "}" for length in lengths]
    return [str(number - 1), str(number), str(number + 1), *("x" * length for length in lengths), *arrays]


def _family(type_: str) -> str:
    if type_.endswith("]"):
        return "array"
    if type_.split("(", maxsplit=1)[0].endswith("range"):
        return "range"
    return next((family for family in _BY_TYPE if type_.startswith(family)), "text")
