"""Fills every table of a database with rows that satisfy every constraint, the same ones for the same seed.

    generator = Generator(database, rows={Name("public", "orders"): 10_000}, hints={}, seed=1)
    for filled in generator.fill(connection):
        print(filled.table, filled.rows, filled.note)

What is random: foreign keys without a hint prefer parents that were made early (the first tenth of them gets about a
fifth of the children); nullable columns are NULL in a tenth of the rows, soft-delete marks in nine tenths; dates lie
in the two years before linear.REFERENCE_DAY. The real constraints on the real tables have the last word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import psycopg

from data_platform.model.database import Database, ForeignKey, Name, Table
from data_platform.model.design import DataHint
from data_platform.postgres.synthetic import load, order
from data_platform.postgres.synthetic.circle import closing_keys, deferred, in_order
from data_platform.postgres.synthetic.fresh import FreshRow
from data_platform.postgres.synthetic.kinds import Kinds
from data_platform.postgres.synthetic.load import Connection, Loaded
from data_platform.postgres.synthetic.plan import Plan, plan_of
from data_platform.postgres.synthetic.rows import Rows
from data_platform.postgres.synthetic.subject import Setting, Unfillable
from data_platform.postgres.synthetic.units import Texts

Progress = Callable[[Name, int], None]


@dataclass(frozen=True)
class Filled:
    """What became of one table. `note` says why there are fewer rows than wanted, or how many had to be sorted out."""

    table: Name
    rows: int
    wanted: int
    seconds: float
    note: str | None


class Generator:
    """Synthetic rows for one database. It remembers no connection; give each call the owner's."""

    def __init__(
        self,
        database: Database,
        rows: Mapping[Name, int],
        hints: Mapping[tuple[Name, str], DataHint],
        seed: int,
    ) -> None:
        self._database = database
        self._tables = {table.name: table for table in database.tables}
        self._rows = rows
        self._hints = hints
        self._seed = seed
        self._kinds = Kinds(database)
        self._kept: dict[Name, dict[str, Texts]] = {}
        self._folded: dict[str, str | None] = {}
        self._tried: dict[Name, int] = {}
        self._unsupported: frozenset[str] = frozenset()

    def order(self) -> tuple[Name, ...]:
        """The tables in the order they are filled: parents before children."""
        return tuple(name for group in self._groups() for name in group)

    def _groups(self) -> list[list[Name]]:
        return [in_order(self._tables, group) for group in order.groups(self._tables)]

    def fill(self, connection: Connection, *, progress: Progress | None = None) -> tuple[Filled, ...]:
        """Fill the tables, which must exist and be empty. `progress` hears of rows as they are sent.

        A table that cannot be filled is reported with its reason, and raises nothing.
        """
        told = progress or (lambda _table, _rows: None)
        filled: list[Filled] = []
        for group in self._groups():
            with load.settled(connection):
                if len(group) == 1:
                    table = self._tables[group[0]]
                    self._kept[table.name] = {column: [] for column in sorted(self._referred(table))}
                    filled.append(self._fill_one(connection, table, self._setting(connection, table), told))
                else:
                    filled += self._fill_circle(connection, group, told)
        self._kept.clear()
        return tuple(filled)

    def fresh(
        self, connection: Connection, table: Name, pins: Mapping[str, str | None] = MappingProxyType({})
    ) -> Mapping[str, str | None] | None:
        """One more valid row that is not in the table yet, or None if none was found.

        Input texts by column; generated columns and identity columns that are GENERATED ALWAYS are left out. `pins`
        are columns whose value is given: every foreign key that has one of them refers to a row that agrees. The
        server has tried the row, in a transaction that was rolled back.
        """
        used = self._rows.get(table, 0) + self._tried.get(table, 0)
        for beyond in dict.fromkeys((used, 0)):  # from the start again, in case rows were deleted
            try:
                row = self._find_fresh(connection, self._tables[table], pins, beyond)
            except psycopg.NotSupportedError:
                self._unsupported = _OPTIONAL_TYPES
                row = self._find_fresh(connection, self._tables[table], pins, beyond)
            if row is not None:
                return row
        return None

    def _find_fresh(
        self, connection: Connection, table: Table, pins: Mapping[str, str | None], beyond: int
    ) -> Mapping[str, str | None] | None:
        finder = FreshRow(table, self._database, connection)
        try:
            with connection.transaction(force_rollback=True), load.settled(connection):
                setting = replace(
                    self._setting(connection, table),
                    parents=finder.parents(pins),
                    own={},
                    pins=pins,
                    beyond=beyond,
                )
                return finder.find(Rows(plan_of(table, setting), self._seed))
        except (Unfillable, psycopg.DataError):
            return None
        finally:
            self._tried[table.name] = self._tried.get(table.name, 0) + finder.tried

    # Circles.

    def _fill_circle(
        self, connection: Connection, group: Sequence[Name], progress: Progress
    ) -> tuple[Filled, ...]:
        """Tables that refer to one another: their keys are made first, the closing foreign keys checked last."""
        tables = [self._tables[name] for name in group]
        closing = closing_keys(tables)
        problem = ""
        for optional in (False, True):
            try:
                with connection.transaction(), deferred(connection, closing):
                    return self._fill_group(connection, tables, closing, optional, progress)
            except psycopg.Error as error:
                _unless_lost(connection, error)
                problem = f"the circle of {', '.join(map(str, group))} does not close: {_named(error)}"
        for table in tables:
            self._forget(table)
        return tuple(Filled(table.name, 0, self._rows.get(table.name, 0), 0.0, problem) for table in tables)

    def _fill_group(
        self,
        connection: Connection,
        tables: Sequence[Table],
        closing: Mapping[Name, Sequence[ForeignKey]],
        optional: bool,
        progress: Progress,
    ) -> tuple[Filled, ...]:
        """The tables of a circle; with `optional`, closing foreign keys that can be NULL are."""
        for table in tables:
            self._kept[table.name] = {column: [] for column in sorted(self._referred(table))}
        for table in tables:
            self._rehearse(connection, table, frozenset(key.name for key in closing[table.name]))
        filled = []
        for table in tables:
            keys = closing[table.name]
            nullable = {column for key in keys for column in key.columns if table.column(column).nullable}
            setting = replace(
                self._setting(connection, table),
                empty=frozenset(nullable if optional else ()),
                late=frozenset(key.name for key in keys),
            )
            filled.append(self._fill_one(connection, table, setting, progress))
        return tuple(filled)

    def _rehearse(self, connection: Connection, table: Table, left_open: frozenset[str]) -> None:
        """Make a table's rows without loading them, to know the keys that others will refer to."""
        try:
            rows = self._new_rows(table, replace(self._setting(connection, table), left_open=left_open))
        except Unfillable:
            return
        missing = self._rows.get(table.name, 0)
        while missing > 0 and (block := rows.block(min(load.BLOCK, missing))).count:
            missing -= block.count

    # One table.

    def _fill_one(self, connection: Connection, table: Table, setting: Setting, progress: Progress) -> Filled:
        start, wanted = time.perf_counter(), self._rows.get(table.name, 0)
        loaded, note = Loaded(0), None
        try:
            with connection.transaction():
                if wanted > 0:
                    loaded, note = self._load(connection, table, setting, progress)
        except Unfillable as problem:
            note = str(problem)
        except psycopg.Error as error:
            _unless_lost(connection, error)
            note = f"the server refuses the rows: {_named(error)}"
        if not loaded.rows:
            self._forget(table)
        return Filled(table.name, loaded.rows, wanted, time.perf_counter() - start, note)

    def _load(
        self, connection: Connection, table: Table, setting: Setting, progress: Progress
    ) -> tuple[Loaded, str | None]:
        try:
            rows, loaded = self._straight(connection, table, setting, progress)
        except psycopg.NotSupportedError:
            self._unsupported = _OPTIONAL_TYPES
            setting = replace(setting, unsupported=self._unsupported)
            rows, loaded = self._straight(connection, table, setting, progress)
        if loaded.refused:
            rows, loaded = self._sorted(connection, table, setting, progress, loaded.refused)
        if loaded.refused or self._made_by_server(rows.plan):
            self._learn(connection, table)
        load.advance_sequences(connection, rows.plan)
        return loaded, _note(rows, loaded, setting.rows)

    def _straight(
        self, connection: Connection, table: Table, setting: Setting, progress: Progress
    ) -> tuple[Rows, Loaded]:
        """Straight into the table; if the server refuses a row, it is empty again and the result says why."""
        rows = self._new_rows(table, setting)
        if rows.plan.derived:
            return rows, Loaded(0, refused=rows.plan.derived[0].column)
        try:
            tell = partial(progress, table.name)
            return rows, load.copy_rows(connection, rows, setting.rows, tell)
        except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.RaiseException) as error:
            return rows, Loaded(0, refused=_named(error))

    def _sorted(
        self, connection: Connection, table: Table, setting: Setting, progress: Progress, refused: str
    ) -> tuple[Rows, Loaded]:
        """By way of a staging table, where the server leaves out what it would refuse."""
        rows = self._new_rows(table, replace(setting, confirmed_only=True))
        learn, tell = partial(self._learn, connection, table), partial(progress, table.name)
        return rows, replace(load.sort_rows(connection, rows, setting.rows, learn, tell), refused=refused)

    def _new_rows(self, table: Table, setting: Setting) -> Rows:
        self._forget(table)
        return Rows(plan_of(table, setting), self._seed, self._kept[table.name])

    def _forget(self, table: Table) -> None:
        for texts in self._kept[table.name].values():
            texts.clear()

    def _learn(self, connection: Connection, table: Table) -> None:
        """Take what children refer to from the server."""
        kept = self._kept[table.name]
        if kept:
            for name, texts in load.read_back(connection, table, tuple(kept)).items():
                kept[name][:] = texts

    def _made_by_server(self, plan: Plan) -> bool:
        """Whether the server may have put something else into columns that children refer to."""
        before_insert = any(t.timing == "before" and "insert" in t.events for t in plan.table.triggers)
        return before_insert or not self._kept[plan.table.name].keys() <= set(plan.columns)

    def _referred(self, table: Table) -> set[str]:
        """The columns that foreign keys point to."""
        keys = (key for other in self._database.tables for key in other.foreign_keys)
        return {column for key in keys if key.target == table.name for column in key.target_columns}

    def _setting(self, connection: Connection, table: Table) -> Setting:
        return Setting(
            kinds=self._kinds,
            seed=self._seed,
            rows=self._rows.get(table.name, 0),
            fold=lambda expression: self._fold(connection, expression),
            hints={column: hint for (name, column), hint in self._hints.items() if name == table.name},
            parents={name: kept for name, kept in self._kept.items() if name != table.name},
            own=self._kept.get(table.name, {}),
            unsupported=self._unsupported,
        )

    def _fold(self, connection: Connection, expression: str) -> str | None:
        """The value of an expression without columns."""
        if expression not in self._folded:
            try:
                with connection.transaction():
                    found = connection.execute(f"SELECT ({expression})::text").fetchone()
                self._folded[expression] = found[0] if found else None
            except psycopg.Error:
                self._folded[expression] = None
        return self._folded[expression]


def _unless_lost(connection: Connection, error: psycopg.Error) -> None:
    """Go on after an error of a statement, not after that of a connection."""
    if connection.closed:
        raise error


def _named(error: psycopg.Error) -> str:
    """The constraint that refused a row, or what the server said."""
    return error.diag.constraint_name or error.diag.message_primary or type(error).__name__


def _note(rows: Rows, loaded: Loaded, wanted: int) -> str | None:
    parts: list[str] = []
    if loaded.tried and (loaded.rows < loaded.tried or not rows.plan.derived):
        share = 100 * loaded.rows / loaded.tried
        parts.append(
            f"{loaded.refused} is judged by the server: {share:.0f} % of {loaded.tried:,} rows passed"
        )
    if loaded.rows < wanted:
        limits = [
            f"key {key} over {', '.join(columns)} allows {loaded.rows:,} rows"
            for key, columns in rows.used_up()
        ]
        unknown = [f"no more rows were found that satisfy {loaded.refused}"] if loaded.refused else []
        parts += limits or unknown
    return "; ".join(parts) or None


_OPTIONAL_TYPES = frozenset({"xml"})
"""Types that a server may have been built without."""
