"""One more row for a table that is filled: what it may refer to, and whether the server takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import psycopg

from data_platform.model.database import Database, ForeignKey, Name, Table
from data_platform.postgres.synthetic import load
from data_platform.postgres.synthetic.load import Connection
from data_platform.postgres.synthetic.plan import Plan
from data_platform.postgres.synthetic.rows import Rows
from data_platform.postgres.synthetic.subject import Values
from data_platform.postgres.synthetic.units import Texts
from data_platform.sql.text import identifier, identifiers, qualified, type_name

FRESH_ATTEMPTS = 30
"""Rows that are tried before giving up."""
_PARENTS = 50
"""Rows of a parent that are looked at from each end: the first ones by key have the most relatives, the last ones the
fewest, and either may be what a row needs."""


class FreshRow:
    """Looks for a row of one table, over one connection."""

    def __init__(self, table: Table, database: Database, connection: Connection) -> None:
        self._table = table
        self._tables = {other.name: other for other in database.tables}
        self._connection = connection
        self.tried = 0

    def parents(self, pins: Mapping[str, str | None]) -> dict[Name, Values]:
        """Some rows of each parent that agree with the pinned values and with one another in shared columns."""
        allowed: dict[str, list[str]] = {c: [v] for c, v in pins.items() if v is not None}
        found: dict[Name, dict[str, Texts]] = {}
        keys = sorted(self._table.foreign_keys, key=lambda key: (-len(key.columns), key.name))
        by_target: dict[Name, list[ForeignKey]] = {}
        for key in keys:
            by_target.setdefault(key.target, []).append(key)
        for target, several in by_target.items():
            found[target] = self._rows_of(target, several, allowed)
            if len(several) == 1:
                for column, referred in zip(several[0].columns, several[0].target_columns, strict=True):
                    present = [text for text in found[target][referred] if text is not None]
                    allowed[column] = list(dict.fromkeys(present)) or allowed.get(column, [])
        return {name: values for name, values in found.items() if any(values.values())}

    def _rows_of(
        self, target: Name, keys: list[ForeignKey], allowed: Mapping[str, list[str]]
    ) -> dict[str, Texts]:
        columns = list(dict.fromkeys(column for key in keys for column in key.target_columns))
        listed = ", ".join(f"p.{identifier(column)}::text" for column in columns)
        rows: dict[tuple[str | None, ...], None] = {}
        for key in keys:
            conditions, values = self._agreeing(target, key, allowed)
            if self._is_unique(key):
                conditions.append(self._without_child(key))
            where = " AND ".join(conditions) or "true"
            for direction in ("ASC", "DESC"):
                order = ", ".join(f"p.{identifier(column)} {direction}" for column in key.target_columns)
                query = (
                    f"SELECT {listed} FROM {qualified(target.schema, target.name)} p"  # noqa: S608
                    f" WHERE {where} ORDER BY {order} LIMIT {_PARENTS}"
                )
                rows |= dict.fromkeys(load.run(self._connection, query, values).fetchall())
        lists: list[Texts] = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in columns]
        return dict(zip(columns, lists, strict=True))

    def _agreeing(
        self, target: Name, key: ForeignKey, allowed: Mapping[str, list[str]]
    ) -> tuple[list[str], list[list[str]]]:
        conditions, values = [], []
        for column, referred in zip(key.columns, key.target_columns, strict=True):
            if allowed.get(column):
                type_ = type_name(self._tables[target].column(referred).type)
                values.append(allowed[column])
                conditions.append(f"p.{identifier(referred)} = ANY (${len(values)}::{type_}[])")
        return conditions, values

    def _is_unique(self, key: ForeignKey) -> bool:
        """Whether a parent can have one child only."""
        own = [unique.columns for unique in self._table.uniques]
        own += [self._table.primary_key.columns] if self._table.primary_key else []
        own += [
            tuple(element.column or "" for element in index.elements)
            for index in self._table.indexes
            if index.unique
        ]
        return any(set(columns) <= set(key.columns) for columns in own)

    def _without_child(self, key: ForeignKey) -> str:
        same = " AND ".join(
            f"c.{identifier(column)} = p.{identifier(referred)}"
            for column, referred in zip(key.columns, key.target_columns, strict=True)
        )
        child = qualified(self._table.name.schema, self._table.name.name)
        return f"NOT EXISTS (SELECT FROM {child} c WHERE {same})"

    def find(self, rows: Rows) -> Mapping[str, str | None] | None:
        """The first of the rows that the server takes. `tried` counts them."""
        for candidate in self._candidates(rows):
            self.tried += 1
            if self._is_taken(rows.plan, candidate):
                hidden = {c.name for c in self._table.columns if c.identity == "always"}
                return {column: text for column, text in candidate.items() if column not in hidden}
        return None

    def _candidates(self, rows: Rows) -> Iterator[dict[str, str | None]]:
        for _ in range(FRESH_ATTEMPTS):
            block = rows.block(1)
            if block.count:
                columns = block.columns
                if rows.plan.derived:
                    columns = load.computed_texts(self._connection, rows.plan, columns)
                yield {name: texts[0] for name, texts in zip(rows.plan.columns, columns, strict=True)}

    def _is_taken(self, plan: Plan, row: Mapping[str, str | None]) -> bool:
        target = qualified(self._table.name.schema, self._table.name.name)
        types = [type_name(self._table.column(name).type) for name in row]
        values = ", ".join(f"${place}::{type_}" for place, type_ in enumerate(types, 1))
        given = f"({identifiers(row)}) OVERRIDING SYSTEM VALUE VALUES ({values})" if row else "DEFAULT VALUES"
        query = f"INSERT INTO {target} {given}"
        try:
            with self._connection.transaction(force_rollback=True):
                load.run(self._connection, query, list(row.values()))
                load.check_now(self._connection, plan)
        except (psycopg.IntegrityError, psycopg.DataError):
            return False
        return True
