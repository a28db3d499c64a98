"""Two tenants of each guarded table, and rows to try with: all that must be known before anybody sets anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from data_platform.model.database import ForeignKey, Name
from data_platform.postgres.filling.aside import switch_off
from data_platform.schema.prove.attempts import Row, insert_sql
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.sessions import Connection
from data_platform.schema.prove.tenancy import Compared, Guarded, Tenancy
from data_platform.sql.text import identifier, literal, qualified_name


@dataclass(frozen=True)
class Reference:
    """A row of A that refers to a row of B; `parent` makes that row where A has namesakes of all that are there."""

    key: ForeignKey
    row: Row
    parent: str | None = None


@dataclass(frozen=True)
class Sample:
    """Two tenants of a table: what A would set, what A has, and rows to try with."""

    guard: Guarded
    compared: Compared
    settings: tuple[Mapping[str, str], ...]
    """Ways to say that one is A: the value itself, or in a JSON object."""
    a: str
    b: str
    rows_of_a: int
    rows_of_b: int
    total: int
    stranger: Row | None
    """A valid row of B, or of somebody who is not A."""
    references: tuple[Reference, ...] = ()

    @property
    def name(self) -> Name:
        return self.guard.table.name

    @property
    def column(self) -> str:
        """The tenant column as text."""
        return f"{identifier(self.compared.column)}::text"


def samples(ground: Ground, read: Tenancy) -> dict[Name, Sample]:
    """Of each table that has rows of two tenants, and compares a column of its own with a setting."""
    return _Sampler(ground, read).samples()


def usual_settings(connection: Connection, read: Tenancy) -> dict[str, str]:
    """A value for each setting that policies compare with a column: that of most rows of the first such table."""
    found: dict[str, str] = {}
    for guard in read.guarded:
        for compared in guard.compared:
            column = identifier(compared.column)
            query = (
                f"SELECT {column}::text FROM {qualified_name(guard.table.name)} WHERE {column} IS NOT NULL"  # noqa: S608
                " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
            )
            row = connection.execute(query.encode()).fetchone() if compared.setting not in found else None
            if row:
                keys = dict.fromkeys(read.json_keys, row[0])
                found[compared.setting] = json.dumps(keys) if keys else row[0]
    return found


@dataclass(frozen=True)
class _Sampler:
    """Counts and makes rows as the owner, who sees all of them."""

    ground: Ground
    read: Tenancy

    def samples(self) -> dict[Name, Sample]:
        """With everything set aside: triggers would change the rows, and the owner must see all of them."""
        connection = self.ground.connection
        with connection.transaction(force_rollback=True):
            switch_off(connection, self.ground.switches)
            counts = {guard.table.name: self._counts(guard) for guard in self.read.guarded}
            spread = Counter(value for found in counts.values() for value in found)
            made = {
                guard.table.name: self._sample(guard, counts[guard.table.name], spread)
                for guard in self.read.guarded
            }
            samples = {name: sample for name, sample in made.items() if sample is not None}
            return {name: self._with_references(sample, samples) for name, sample in samples.items()}

    def _counts(self, guard: Guarded) -> dict[str, int]:
        compared = self.read.first(guard)
        if compared is None:
            return {}
        column = identifier(compared.column)
        query = (
            f"SELECT {column}::text, count(*) FROM {qualified_name(guard.table.name)}"  # noqa: S608 - quoted names
            f" WHERE {column} IS NOT NULL GROUP BY 1"
        )
        return dict(self.ground.connection.execute(query.encode()).fetchall())

    def _sample(self, guard: Guarded, counts: Mapping[str, int], spread: Mapping[str, int]) -> Sample | None:
        compared = self.read.first(guard)
        if compared is None or len(counts) < 2:
            return None
        a, b = sorted(counts, key=lambda value: (-spread[value], -counts[value], value))[:2]
        table = guard.table
        row = self.ground.generator.fresh(self.ground.connection, table.name, {compared.column: b})
        row = row or self.ground.generator.fresh(self.ground.connection, table.name)
        foreign = row is not None and row.get(compared.column) != a
        return Sample(
            guard=guard,
            compared=compared,
            settings=tuple(self._ways(guard, compared, a)),
            a=a,
            b=b,
            rows_of_a=counts[a],
            rows_of_b=counts[b],
            total=sum(counts.values()),
            stranger=row if foreign else None,
        )

    def _ways(self, guard: Guarded, compared: Compared, a: str) -> Iterator[Mapping[str, str]]:
        """Settings of one of A's rows, as they are and as an object with all keys that policies ask for."""
        columns = [pair for pair in guard.compared if pair.setting != compared.setting]
        values = {compared.setting: a}
        if columns:
            listed = ", ".join(f"{identifier(pair.column)}::text" for pair in columns)
            query = (
                f"SELECT {listed} FROM {qualified_name(guard.table.name)}"  # noqa: S608 - quoted names
                f" WHERE {identifier(compared.column)}::text = {literal(a)} LIMIT 1"
            )
            row = self.ground.connection.execute(query.encode()).fetchone() or ()
            values |= {
                pair.setting: value for pair, value in zip(columns, row, strict=False) if value is not None
            }
        yield values
        if self.read.json_keys:
            yield {
                setting: json.dumps(dict.fromkeys(self.read.json_keys, value))
                for setting, value in values.items()
            }

    def _with_references(self, sample: Sample, samples: Mapping[Name, Sample]) -> Sample:
        found = []
        for key in sample.guard.table.foreign_keys:
            target = samples.get(key.target)
            if target is None or key.columns == (sample.compared.column,) or not key.enforced:
                continue
            reference = self._reference(sample, key, target)
            if reference is not None:
                found.append(reference)
        return replace(sample, references=tuple(found))

    def _reference(self, sample: Sample, key: ForeignKey, target: Sample) -> Reference | None:
        column = sample.compared.column
        mine = self.ground.generator.fresh(self.ground.connection, sample.name, {column: sample.a})
        others = [name for name in key.target_columns if name != target.compared.column]
        if mine is None or not others:
            return None
        there, made = self._parent(sample, key, target, others), None
        if there is None:
            there = self._new_parent(target, others)
            made = insert_sql(target.guard.table, there) if there else None
        if there is None:
            return None
        pairs = zip(key.columns, key.target_columns, strict=True)
        taken = {name: there[referred] for name, referred in pairs if name != column}
        return Reference(key, {**mine, **taken}, made)

    def _parent(self, sample: Sample, key: ForeignKey, target: Sample, others: list[str]) -> Row | None:
        """The key of a row of somebody else that A has no namesake of."""
        listed = ", ".join(f"p.{identifier(name)}::text" for name in key.target_columns)
        same = " AND ".join(f"o.{identifier(name)} = p.{identifier(name)}" for name in others)
        table, a = qualified_name(target.name), literal(sample.a)
        query = (
            f"SELECT {listed} FROM {table} AS p WHERE p.{target.column} <> {a}"  # noqa: S608 - quoted names
            f" AND NOT EXISTS (SELECT FROM {table} AS o WHERE {same} AND o.{target.column} = {a}) LIMIT 1"
        )
        found = self.ground.connection.execute(query.encode()).fetchone()
        return dict(zip(key.target_columns, found, strict=True)) if found else None

    def _new_parent(self, target: Sample, others: list[str]) -> Row | None:
        """A row of B whose numbers are beyond all that are there."""
        row = self.ground.generator.fresh(
            self.ground.connection, target.name, {target.compared.column: target.b}
        )
        if row is None:
            return None
        beyond = {}
        for name in others:
            if target.guard.table.column(name).type in ("smallint", "integer", "bigint", "numeric"):
                query = f"SELECT (max({identifier(name)}) + 1000)::text FROM {qualified_name(target.name)}"  # noqa: S608
                beyond[name] = (self.ground.connection.execute(query.encode()).fetchone() or ("1",))[0]
        made = {**row, **beyond}
        return made if all(name in made for name in others) else None
