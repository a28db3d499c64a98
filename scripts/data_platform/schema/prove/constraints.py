"""Every constraint tried: a row that the table accepts, with one thing changed so that exactly one constraint breaks.

The row is first inserted as it is (and rolled back). What refuses the changed row is therefore the change, and the
server names the constraint. A row that nothing refuses is a failed proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from data_platform.model.database import (
    Check,
    Column,
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
from data_platform.schema.prove.attempts import Attempt, Row, Trials, own_rows, try_statement
from data_platform.schema.prove.breaking import (
    breaking_values,
    candidates,
    columns_in,
    constants_of,
    names_in,
)
from data_platform.schema.prove.generated import assignments, is_generated, sources
from data_platform.schema.prove.result import DEFAULT, Probe
from data_platform.schema.prove.tenancy import settings_in
from data_platform.sql.text import identifier, literal, qualified_name

Key = PrimaryKey | Unique | Index

NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION = "23502", "23503", "23505", "23514", "23P01"
CONSTRAINTS = (NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION)
BAD_TEXT = "22P02"
MAX_ATTEMPTS = 150
OWN_STEP, ABSENT_STEP = 1000, 2000
"""How far above the highest value a new row's own number lies, and one that no row has."""
MAX_ROWS = 5
"""Existing rows whose key is tried."""


def probe_constraints(trials: Trials) -> Iterator[Probe]:
    """One probe for each constraint, unique index, NOT NULL, enum and domain of the database."""
    prober = _Prober(trials)
    for type_ in trials.database.types:
        if isinstance(type_, Enum):
            yield prober.enum(type_)
        elif isinstance(type_, Domain):
            yield from prober.domain(type_)
    for table in trials.database.tables:
        if table.holds_rows:
            yield from prober.table(table)


@dataclass(frozen=True)
class _Prober:
    """One method for each kind of constraint."""

    trials: Trials

    def table(self, table: Table) -> Iterator[Probe]:
        with self.trials.connection.transaction(force_rollback=True):
            valid = self._complete(table, self.trials.fresh(table))
            attempt = self.trials.attempt(table, valid) if valid is not None else None
            if valid is None or attempt is None or attempt.sqlstate is not None:
                reason = (
                    attempt.message if attempt else "no valid row of its own could be made for this table"
                )
                yield from (
                    _probe(kind, table, name, "not checked", f"no row to start from: `{reason}`")
                    for kind, name in _claims(table)
                )
                return
            yield from self._defaults(table, valid)
            yield from self._not_nulls(table, valid)
            keys: list[Key] = [key for key in (table.primary_key, *table.uniques) if key]
            keys += [index for index in table.indexes if index.unique]
            for key in keys:
                yield self._key(table, key, valid)
            for check in table.checks:
                yield (
                    self._check(table, check, valid)
                    if check.enforced
                    else _unenforced("check", table, check.name)
                )
            for exclusion in table.exclusions:
                yield self._exclusion(table, exclusion, valid)
            for key_ in table.foreign_keys:
                enforced = key_.enforced
                yield (
                    self._foreign_key(table, key_, valid)
                    if enforced
                    else _unenforced("foreign key", table, key_.name)
                )

    def _complete(self, table: Table, row: Row | None) -> Row | None:
        """With values for identity columns too, so that a check that compares them can be broken."""
        missing = [
            column.name for column in table.columns if column.identity and row and column.name not in row
        ]
        return {**row, **{name: self._beyond(table, name) or "1" for name in missing}} if row else None

    # --- one kind of constraint each ---

    def _defaults(self, table: Table, valid: Row) -> Iterator[Probe]:
        """A row that leaves the column out: its default must give a value.

        Another constraint may refuse that row in the end; the default has been evaluated by then.
        """
        for column in table.columns:
            if column.default is None or column.name not in valid:
                continue
            attempt = self._without(table, column, valid)
            if attempt.sqlstate is None:
                yield _probe(DEFAULT, table, column.name, "proven", "a row without it was accepted")
            elif attempt.sqlstate in CONSTRAINTS and attempt.column != column.name:
                told = (
                    f"it gives a value (which `{attempt.constraint or attempt.column}` refused in this row)"
                )
                yield _probe(DEFAULT, table, column.name, "proven", told)
            else:
                told = f"it gives no value: `{attempt.message}`"
                yield _probe(DEFAULT, table, column.name, "failed", told)

    def _without(self, table: Table, column: Column, valid: Row) -> Attempt:
        """The row without the column; settings that its default reads have the value that it should get."""
        connection = self.trials.connection
        with connection.transaction(force_rollback=True):
            for name in settings_in(column.default or "", self.trials.functions):
                connection.execute("SELECT set_config(%s, %s, true)", [name, valid[column.name] or ""])
            return self.trials.attempt(table, {n: v for n, v in valid.items() if n != column.name})

    def _not_nulls(self, table: Table, valid: Row) -> Iterator[Probe]:
        for column in table.columns:
            if column.nullable or column.generated or column.identity:
                continue
            attempt = self.trials.attempt(table, {**valid, column.name: None})
            refused = attempt.sqlstate == NOT_NULL and attempt.column == column.name
            # A domain may refuse NULL before the column does, and no partition may take it.
            refused = refused or attempt.sqlstate == NOT_NULL or attempt.fits_no_partition
            yield _judged("not null", table, column.name, attempt, refused, "NULL")

    def _key(self, table: Table, key: Key, valid: Row) -> Probe:
        kind = "primary key" if isinstance(key, PrimaryKey) else "unique"
        columns = sources(table, _key_columns(key))
        temporal = not isinstance(key, Index) and key.without_overlaps
        refusal = EXCLUSION if temporal else UNIQUE
        last: Attempt | None = None
        for row in self._rows_under(table, key):
            for changed in (
                {**valid, **{name: row[name] for name in columns if name in row}},
                {**row, **self._other_keys(table, key, valid)},
            ):
                attempt = self.trials.attempt(table, changed, key.name)
                if attempt.broke(refusal, key.name):
                    return _refused(kind, table, key.name, attempt, "the key of another row")
                last = attempt if last is None or attempt.sqlstate is None else last
        if last is None:
            return _probe(kind, table, key.name, "not checked", "the table has no row under this key")
        return _unproven(kind, table, key.name, last, "the key of another row")

    def _check(self, table: Table, check: Check, valid: Row) -> Probe:
        columns = [name for name in columns_in(check.expression, table) if name in valid]
        tried = 0
        for changed in islice(
            breaking_values(self.trials.database, table, check.expression, columns, valid), MAX_ATTEMPTS
        ):
            attempt = self.trials.attempt(table, {**valid, **changed}, check.name)
            tried += 1
            if attempt.broke(CHECK, check.name):
                return _refused("check", table, check.name, attempt, _shown(changed))
        return _probe("check", table, check.name, "not checked", f"none of {tried} rows tried breaks it")

    def _exclusion(self, table: Table, exclusion: Exclusion, valid: Row) -> Probe:
        columns = {name for item in exclusion.elements for name in _element_columns(item.element, table)}
        columns |= set(columns_in(exclusion.where, table)) if exclusion.where else set()
        last: Attempt | None = None
        for row in self._sample(table, exclusion.where):
            changed = {**valid, **{name: row[name] for name in columns if name in row}}
            attempt = self.trials.attempt(table, changed, exclusion.name)
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
        for given in assignments(table, key.columns, absent):
            attempt = self.trials.attempt(table, {**valid, **given}, key.name)
            if attempt.broke(FOREIGN_KEY, key.name):
                return _refused(
                    "foreign key", table, key.name, attempt, "a key that the target does not have"
                )
        if is_generated(table, key.columns):
            told = "its column is generated, and no row tried gives it a value that the target lacks"
            return _probe("foreign key", table, key.name, "not checked", told)
        return _unproven("foreign key", table, key.name, attempt, "a key that the target does not have")

    def enum(self, type_: Enum) -> Probe:
        label = "dpe: no such label"
        attempt = try_statement(
            self.trials.connection, f"SELECT {literal(label)}::{qualified_name(type_.name)}"
        )
        return _judged_type(
            "enum", type_.name, str(type_.name), attempt, attempt.sqlstate == BAD_TEXT, f"`{label}`"
        )

    def domain(self, type_: Domain) -> Iterator[Probe]:
        name = qualified_name(type_.name)
        if not type_.nullable:
            attempt = try_statement(self.trials.connection, f"SELECT CAST(NULL AS {name})")
            yield _judged_type(
                "not null", type_.name, "NOT NULL", attempt, attempt.sqlstate == NOT_NULL, "NULL"
            )
        for check in type_.checks:
            tried = 0
            probe = None
            for value in candidates(self.trials.database, type_.base, constants_of(check.expression)):
                if value is None:
                    continue
                attempt = try_statement(self.trials.connection, f"SELECT {literal(value)}::{name}")
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
        conditions = [f"({key.where})"] if isinstance(key, Index) and key.where else []
        if not (isinstance(key, PrimaryKey) or key.nulls_not_distinct):
            made = [name for name in _key_columns(key) if table.column(name).generated]
            conditions += [f"{identifier(name)} IS NOT NULL" for name in made]
        rows = self._sample(table, " AND ".join(conditions) or None)
        if isinstance(key, PrimaryKey) or key.nulls_not_distinct:
            return rows
        elements = key.columns if isinstance(key, Unique) else [e.column for e in key.elements if e.column]
        plain = [name for name in elements if rows and name in rows[0]]
        return [row for row in rows if all(row[name] is not None for name in plain)]

    def _sample(self, table: Table, where: str | None) -> list[Row]:
        names = [column.name for column in table.columns if not column.generated]
        texts = ", ".join(f"{identifier(name)}::text" for name in names)
        predicate = f" WHERE {where}" if where else ""
        query = f"SELECT {texts} FROM {own_rows(table)}{predicate} LIMIT {MAX_ROWS}"  # noqa: S608
        return [dict(zip(names, row, strict=True)) for row in self.trials.connection.execute(query.encode())]

    def _other_keys(self, table: Table, key: Key, valid: Row) -> Row:
        """Fresh values for the columns of all other keys, so that only `key` is broken."""
        own = set(sources(table, _key_columns(key)))
        keys: list[Key] = [other for other in (table.primary_key, *table.uniques) if other]
        keys += [index for index in table.indexes if index.unique]
        named = [name for other in keys if other.name != key.name for name in _key_columns(other)]
        others = set(sources(table, named))
        return {name: valid[name] for name in others - own if name in valid}

    def _absent_key(self, key: ForeignKey) -> tuple[str, ...] | None:
        target = self.trials.database.table(key.target)
        fresh = self.trials.generator.fresh(self.trials.connection, target.name) or {}
        values = [fresh.get(name) or self._beyond(target, name, ABSENT_STEP) for name in key.target_columns]
        return tuple(value for value in values if value is not None) if None not in values else None

    def _beyond(self, table: Table, column: str, step: int = OWN_STEP) -> str | None:
        """A number that no row of the table has: `step` above the highest."""
        name = identifier(column)
        query = f"SELECT (coalesce(max({name}), 0) + {step})::text FROM {qualified_name(table.name)}"  # noqa: S608
        try:
            with self.trials.connection.transaction():
                row = self.trials.connection.execute(query.encode()).fetchone()
        except psycopg.Error:
            return None
        return row[0] if row else None


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


def _unenforced(kind: str, table: Table, name: str) -> Probe:
    return _probe(kind, table, name, "not checked", "NOT ENFORCED: the server lets everything pass")


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
    columns += names_in(key.where) if key.where else []
    return tuple(dict.fromkeys(columns))


def _element_names(element: Any) -> list[str]:
    return [element.column] if element.column else names_in(element.expression)


def _element_columns(element: Any, table: Table) -> list[str]:
    known = {column.name for column in table.columns}
    return [name for name in _element_names(element) if name in known]
