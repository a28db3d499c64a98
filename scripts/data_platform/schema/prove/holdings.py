"""Tables that hold tenants' rows, guarded or not: whose rows are there, and how another tenant's are taken away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from data_platform.model.database import ForeignKey, MaterializedView, Name, Table, View
from data_platform.schema.prove.callable import Held
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.tenancy import Tenancy, words_of
from data_platform.sql.text import identifier, literal, qualified_name

_LETS_GO = ("set null", "set default")
"""What a reference does whose row outlives the row that it refers to: such a row is nobody's."""


@dataclass(frozen=True)
class Holding:
    """A table whose rows are tenants'. `column` tells whose; where it is None, `keys` refer to a table that tells."""

    table: Table
    column: str | None
    keys: tuple[ForeignKey, ...]
    guarded: bool

    def others(self, tenant: str) -> str:
        """What holds for the rows of everybody else."""
        assert self.column is not None
        return f"{identifier(self.column)}::text <> {literal(tenant)}"

    def orphans(self) -> Iterator[str]:
        """Statements that delete the rows whose reference has lost its row."""
        for key in self.keys:
            pairs = list(zip(key.columns, key.target_columns, strict=True))
            same = " AND ".join(f"p.{identifier(there)} = c.{identifier(here)}" for here, there in pairs)
            given = " AND ".join(f"c.{identifier(here)} IS NOT NULL" for here, _ in pairs)
            yield (
                f"DELETE FROM {qualified_name(self.table.name)} AS c WHERE {given} AND NOT EXISTS "  # noqa: S608
                f"(SELECT FROM {qualified_name(key.target)} AS p WHERE {same})"
            )


@dataclass(frozen=True)
class Holdings:
    """All of them, parents before children."""

    ground: Ground
    read: Tenancy

    @cached_property
    def all(self) -> tuple[Holding, ...]:
        guards = {guard.table.name for guard in self.read.guarded}
        found: dict[Name, Holding] = {}
        for name in self.ground.generator.order():
            table, guarded = self.ground.database.table(name), name in guards
            column = self.read.tenant_column(table)
            keys = tuple(
                key
                for key in table.foreign_keys
                if key.target in found and (guarded or key.on_delete not in _LETS_GO)
            )
            if column is not None or keys or guarded:
                found[name] = Holding(table, column, keys if column is None else (), guarded)
        return tuple(found.values())

    @property
    def named(self) -> tuple[Holding, ...]:
        """Those that say themselves whose a row is."""
        return tuple(holding for holding in self.all if holding.column is not None)

    def release(self) -> None:
        """Drop the foreign keys to them, so that rows can go."""
        held = {holding.table.name for holding in self.all}
        for table in self.ground.database.tables:
            for key in table.foreign_keys if table.holds_rows else ():
                if key.target in held:
                    self._run(
                        f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(key.name)}"
                    )

    def keep_only(self, tenant: str) -> dict[Name, int]:
        """Delete the rows of all other tenants, then those that refer to a row that is gone: how many of each table."""
        removed: dict[Name, int] = {}
        for holding in self.all:
            name = qualified_name(holding.table.name)
            own = [f"DELETE FROM {name} WHERE {holding.others(tenant)}"] if holding.column else []  # noqa: S608
            removed[holding.table.name] = sum(self._run(sql) for sql in (*own, *holding.orphans()))
        return removed

    def clear(self) -> dict[Name, int]:
        """Delete the rows of all tenants: how many there were of each table."""
        rows = self.rows()
        emptied = [h.table.name for h in self.all if h.guarded or h.column]
        self._run(f"TRUNCATE {', '.join(qualified_name(name) for name in emptied)}")
        removed = {name: rows[name] for name in emptied}
        for holding in self.all:
            if holding.table.name not in removed:
                removed[holding.table.name] = sum(self._run(sql) for sql in holding.orphans())
        return removed

    def rows(self) -> dict[Name, int]:
        """The rows of every table, as its owner counts them."""
        tables, connection = self.ground.generator.order(), self.ground.connection
        counts = ", ".join(f"(SELECT count(*) FROM {qualified_name(name)})" for name in tables)  # noqa: S608
        with connection.transaction(force_rollback=True):
            for statement in self.ground.unforced:
                connection.execute(statement.encode())
            row = connection.execute(f"SELECT {counts}".encode()).fetchone()
        return dict(zip(tables, row or (), strict=True))

    def values(self, tenant: str | None) -> tuple[Held, ...]:
        """The values of one row of each, of somebody other than that tenant."""
        with self.ground.connection.transaction(force_rollback=True):
            for statement in self.ground.unforced:
                self.ground.connection.execute(statement.encode())
            return tuple(held for holding in self.all for held in self._row(holding, tenant))

    def _row(self, holding: Holding, tenant: str | None) -> Iterator[Held]:
        table, column = holding.table, holding.column
        listed = ", ".join(f"{identifier(column.name)}::text" for column in table.columns)
        where = f" WHERE {holding.others(tenant)}" if column and tenant is not None else ""
        query = f"SELECT {listed} FROM {qualified_name(table.name)}{where} LIMIT 1"  # noqa: S608 - quoted names
        row = self.ground.connection.execute(query.encode()).fetchone()
        keys = table.primary_key.columns if table.primary_key else ()
        for part, value in zip(table.columns, row or (), strict=False):
            if value is not None:
                is_tenant = part.name == column
                is_key = part.name in keys and not is_tenant
                yield Held(table.name.name, part.name, part.type, value, is_key, is_tenant)

    def content(self, tenant: str) -> str:
        """A query for a hash of all rows of other tenants."""
        parts = [
            f"(SELECT count(*)::text || coalesce(sum(hashtextextended(t::text, 0))::text, '')"  # noqa: S608
            f" FROM {qualified_name(holding.table.name)} AS t WHERE t.{holding.others(tenant)})"
            for holding in self.named
        ]
        return f"SELECT {', '.join(parts) or '0'}"

    def _run(self, sql: str) -> int:
        return max(self.ground.connection.execute(sql.encode()).rowcount, 0)


@dataclass(frozen=True)
class Evidence:
    """What an unchanged answer is worth: the rows that each table had, and those of other tenants that were removed."""

    holdings: Holdings
    rows: Mapping[Name, int]
    removed: Mapping[Name, int]

    def unguarded(self, text: str) -> list[Name]:
        """The tables that it names and that hold tenants' rows without a policy."""
        open_ = {holding.table.name for holding in self.holdings.named if not holding.guarded}
        return [name for name in self._mentioned(text) if name in open_]

    def gap(self, text: str) -> str | None:
        """Why the answer of a query or a body shows nothing; None where it does, or reads no table."""
        for name in self._mentioned(text):
            if not self.rows[name]:
                return f"the table is empty: `{name}`"
            if name in self.removed and not self.removed[name]:
                return f"no other tenant has a row in `{name}`"
        return None

    def _mentioned(self, text: str) -> list[Name]:
        """The tables that it names, itself or by the views and functions that it names."""
        waiting, seen, found = [text], set[str](), dict[Name, None]()
        while waiting:
            words = {word.strip('"') for word in words_of(waiting.pop())} - seen
            seen |= words
            for word in sorted(words):
                found |= dict.fromkeys(self._tables.get(word, ()))
                waiting += self._texts.get(word, ())
        return list(found)

    @cached_property
    def _tables(self) -> dict[str, list[Name]]:
        found: dict[str, list[Name]] = {}
        for root in self.rows:
            for name in (root, *(part.name for part in self.holdings.ground.below(root))):
                found.setdefault(name.name, []).append(root)
        return found

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        database = self.holdings.ground.database
        views: tuple[View | MaterializedView, ...] = (*database.views, *database.materialized_views)
        for view in views:
            found.setdefault(view.name.name, []).append(view.query)
        for function in database.functions:
            found.setdefault(function.name.name, []).append(function.body or function.sql_body or "")
        return found
