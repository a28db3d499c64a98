"""Partitioned tables: where rows go, what becomes of rows that fit nowhere, and which partitions a query reads.

Tried while triggers and row-level security are set aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from data_platform.model.database import Check, Column, IndexElement, Name, Table
from data_platform.postgres.filling.partitions import fillable, partition_constraint, takes_rest
from data_platform.postgres.synthetic import Generator
from data_platform.report.document import State
from data_platform.schema.prove.attempts import Row, insert_sql
from data_platform.schema.prove.bounds import range_of
from data_platform.schema.prove.breaking import breaking_values, columns_in
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.result import Claim, Measured
from data_platform.schema.prove.sessions import Identity, Outcome, nothing_stays, tried
from data_platform.sql.text import identifier, literal, qualified_name, relation_literal, type_name

LANDS = "a row within its bounds lands in it"
OUTSIDE = "a row outside all bounds has a place, or is refused"
AHEAD = "today and the next period have a partition"
PRUNED = "a query by the key reads only the partitions it needs"
NARROW = "access patterns read only the partitions they need"
KEYS = "every unique key holds the partition key"

NO_PARTITION = "23514"
MAX_LEAVES = 60
"""Partitions of one table that a row is made for."""
MAX_OUTSIDE = 100
_TIMES = ("date", "timestamp without time zone", "timestamp with time zone")


def partitions(ground: Ground, patterns: Sequence[Measured]) -> tuple[Claim, ...]:
    """Every partitioned table, with everything below it."""
    roots = [t for t in ground.database.tables if t.partition_by and t.partition_of is None]
    if not roots:
        return ()
    with nothing_stays(ground.connection):
        return tuple(claim for root in roots for claim in _Prober(ground, root).claims(patterns))


@dataclass(frozen=True)
class _Prober:
    """One partitioned table."""

    ground: Ground
    root: Table

    @cached_property
    def leaves(self) -> tuple[Table, ...]:
        return tuple(t for t in self.ground.below(self.root.name) if t.partition_by is None)

    @cached_property
    def rows(self) -> Mapping[Name, int]:
        """Rows of each leaf that has some."""
        query = f"""
            SELECT n.nspname, c.relname, found.rows
              FROM (SELECT tableoid, count(*) AS rows FROM {qualified_name(self.root.name)} GROUP BY 1) AS found
              JOIN pg_class AS c ON c.oid = found.tableoid JOIN pg_namespace AS n ON n.oid = c.relnamespace"""  # noqa: S608
        return {Name(schema, name): rows for schema, name, rows in self._run(query)}

    @cached_property
    def valid(self) -> Row | None:
        return self.ground.generator.fresh(self.ground.connection, self.root.name)

    @property
    def keys(self) -> tuple[IndexElement, ...]:
        assert self.root.partition_by is not None
        return self.root.partition_by.key

    def claims(self, patterns: Sequence[Measured]) -> Iterator[Claim]:
        if not self.leaves:
            yield self._claim(LANDS, "failed", "it has no partition: no row can be inserted")
            return
        yield from (self._lands(leaf) for leaf in self.leaves[:MAX_LEAVES])
        if any(not takes_rest(leaf) and leaf.partition_of for leaf in self.leaves) and not self._is_hash():
            yield self._outside()
        ahead = self._ahead()
        if ahead:
            yield ahead
        if len(self.leaves) > 1:
            yield self._pruned()
            yield self._narrow(patterns)
        yield self._unique()

    # --- routing ---

    def _lands(self, leaf: Table) -> Claim:
        made = self._claim(LANDS, "proven", "", leaf)
        total = sum(self.rows.values())
        rows = self.rows.get(leaf.name, 0)
        if rows:
            share = f", {100 * rows / total:.0f} % of the table" if takes_rest(leaf) else ""
            return replace(made, detail=f"{rows:,} rows{share}")
        if leaf.foreign:
            return replace(made, state="not checked", detail="it is on another server")
        if takes_rest(leaf) and not total:
            return replace(made, state="not checked", detail="the table is empty")
        if takes_rest(leaf):
            return replace(made, detail="empty: every row had a partition of its own")
        row = self._row_within(leaf)
        if row is None:
            return replace(made, state="not checked", detail="no valid row within its bounds was found")
        outcome = self._inserted(row)
        if outcome.sqlstate is not None:
            return replace(made, state="not checked", detail=f"the row was refused by `{outcome.message}`")
        landed = outcome.rows[0] == (leaf.name.schema, leaf.name.name)
        there = ".".join(outcome.rows[0])
        return replace(made, state="proven" if landed else "failed", detail=f"a new row went to `{there}`")

    def _row_within(self, leaf: Table) -> Row | None:
        database = fillable(self.ground.connection, self.ground.database)
        bounds = Check(
            name="dpe within bounds", expression=partition_constraint(self.ground.connection, leaf.name)
        )
        tables = tuple(
            replace(table, checks=(*self.root.checks, bounds)) if table.name == self.root.name else table
            for table in database.tables
        )
        generator = Generator(replace(database, tables=tables), {}, {}, 1)
        return generator.fresh(self.ground.connection, self.root.name)

    def _inserted(self, row: Row) -> Outcome:
        where = (
            "(SELECT nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.oid = tableoid), (SELECT relname FROM pg_class WHERE oid = tableoid)"
        )
        where = where.replace("= tableoid", f"= {qualified_name(self.root.name)}.tableoid")
        return tried(self.ground.connection, Identity(), f"{insert_sql(self.root, row)} RETURNING {where}")

    def _outside(self) -> Claim:
        bounded = [leaf for leaf in self.leaves if not takes_rest(leaf)]
        texts = [partition_constraint(self.ground.connection, leaf.name) for leaf in bounded]
        text = " OR ".join(f"({part})" for part in texts)
        rest = {(t.name.schema, t.name.name) for t in self.leaves if takes_rest(t)}
        attempts = 0
        for row in self._rows_outside(text):
            attempts += 1
            outcome = self._inserted(row)
            if outcome.sqlstate is None and outcome.rows[0] in rest:
                return self._claim(OUTSIDE, "proven", f"it went to `{'.'.join(outcome.rows[0])}`")
            if outcome.sqlstate == NO_PARTITION and "partition" in outcome.message:
                return self._claim(OUTSIDE, "proven", "there is no DEFAULT partition: it was refused (23514)")
        return self._claim(OUTSIDE, "not checked", f"none of {attempts} rows tried lies outside")

    def _rows_outside(self, text: str) -> Iterator[Row]:
        valid = self.valid
        if valid is None:
            return
        columns = [name for name in columns_in(text, self.root) if name in valid]
        changes = breaking_values(self.ground.database, self.root, text, columns, valid)
        for changed in islice(changes, MAX_OUTSIDE):
            if None not in changed.values():
                yield {**valid, **changed}

    # --- time ---

    def _ahead(self) -> Claim | None:
        """Of a table by time: whether rows of the next period will be taken, as wide as its last partition."""
        column = self._time()
        limits = [limit for child in self.children if (limit := range_of(child))]
        if column is not None and not limits:
            told = "it has no partition but DEFAULT, so all rows go there"
            return self._claim(
                AHEAD, "proven", told, warning=f"{told}: add those of this period and the next"
            )
        if column is None:
            return None
        type_ = type_name(column.type)
        values = ", ".join(f"({literal(low)}::{type_}, {literal(high)}::{type_})" for low, high in limits)
        query = f"""
            WITH bound(low, high) AS (VALUES {values}),
                 period(moment) AS (
                    SELECT (now()::{type_} + (high - low))::{type_} FROM bound
                     WHERE isfinite(low) AND isfinite(high) ORDER BY high DESC LIMIT 1)
            SELECT (SELECT bool_or(now()::{type_} >= low AND now()::{type_} < high) FROM bound),
                   (SELECT bool_or(moment >= low AND moment < high) FROM bound, period),
                   (SELECT max(high)::text FROM bound)"""  # noqa: S608 - literals and a type
        ((now, later, last),) = self._run(query)
        if now and later is not False:
            return self._claim(AHEAD, "proven", f"the last one ends at `{last}`")
        told = f"the last one ends at `{last}`"
        if any(takes_rest(leaf) for leaf in self.leaves):
            warning = f"{told}: add the next ones"
            return self._claim(AHEAD, "proven", f"{told}; later rows go to DEFAULT", warning=warning)
        return self._claim(AHEAD, "failed", f"{told}, and there is no DEFAULT: later rows are refused")

    def _time(self) -> Column | None:
        assert self.root.partition_by is not None
        key = self.keys[0]
        if self.root.partition_by.strategy != "range" or len(self.keys) > 1 or key.column is None:
            return None
        column = self.root.column(key.column)
        return column if column.type.startswith(_TIMES) else None

    # --- reading ---

    def _pruned(self) -> Claim:
        listed = [_text(element) for element in self.keys]
        texts = ", ".join(f"({key})::text, pg_typeof({key})::text" for key in listed)
        query = f"SELECT {texts} FROM {qualified_name(self.root.name)} LIMIT 1"  # noqa: S608 - the server's own text
        found = self._run(query)
        if not found or None in found[0]:
            return self._claim(PRUNED, "not checked", "it has no rows with a key")
        pairs = zip(listed, found[0][::2], found[0][1::2], strict=True)
        where = " AND ".join(f"{key} = {literal(value)}::{type_}" for key, value, type_ in pairs)
        read = self._leaves_read(where)
        if sum(not read.isdisjoint(self._family(child)) for child in self.children) > 1:
            told = f"an equality on the key reads {len(read)} of {len(self.leaves)} partitions"
            return self._claim(PRUNED, "failed", told)
        told = f"an equality reads {len(read)} of {len(self.leaves)}"
        return self._pruned_range() or self._claim(PRUNED, "proven", told)

    @property
    def children(self) -> tuple[Table, ...]:
        return self.ground.partitions[self.root.name]

    def _family(self, child: Table) -> set[Name]:
        return {child.name, *(table.name for table in self.ground.below(child.name))}

    def _pruned_range(self) -> Claim | None:
        assert self.root.partition_by is not None
        if self.root.partition_by.strategy != "range" or len(self.keys) > 1:
            return None
        children = [(child, limit) for child in self.children if (limit := range_of(child))]
        finite = [(child, limit) for child, limit in children if not any("infinity" in end for end in limit)]
        if not finite:
            return None
        child, (low, high) = finite[len(finite) // 2]
        key = _text(self.keys[0])
        read = self._leaves_read(f"{key} >= {literal(low)} AND {key} < {literal(high)}")
        others = read - self._family(child)
        told = f"an equality reads 1, the range of `{child.name}` reads {len(read)} of {len(self.leaves)}"
        return self._claim(PRUNED, "failed" if others else "proven", told)

    def _leaves_read(self, where: str) -> set[Name]:
        query = f"SELECT FROM {qualified_name(self.root.name)} WHERE {where}"
        ((plan,),) = self._run(f"EXPLAIN (VERBOSE, FORMAT JSON) {query}")
        names = {leaf.name for leaf in self.leaves}
        return names & set(_relations(plan[0]["Plan"]))

    def _narrow(self, patterns: Sequence[Measured]) -> Claim:
        if not self.rows:
            return self._claim(NARROW, "not checked", "the table is empty")
        names = {leaf.name.name for leaf in self.leaves}
        all_ = [measured.pattern.name for measured in patterns if names <= set(measured.reads)]
        reading = [measured for measured in patterns if names & set(measured.reads)]
        if not reading:
            return self._claim(NARROW, "not checked", "no access pattern reads it")
        if all_:
            told = f"all {len(names)} partitions are read by {', '.join(f'`{name}`' for name in all_)}"
            return self._claim(NARROW, "proven", told, warning=told)
        most = max(len(names & set(measured.reads)) for measured in reading)
        return self._claim(NARROW, "proven", f"at most {most} of {len(names)}")

    # --- keys ---

    def _unique(self) -> Claim:
        """The server lets no other key stand on the table; one that stands on a partition alone is another matter."""
        alone = [name for leaf in self.leaves for name in self._unique_alone(leaf)]
        total = len(self.root.uniques) + (self.root.primary_key is not None)
        total += sum(index.unique for index in self.root.indexes)
        told = f"{total} of the table" if total else "it has none"
        warning = (
            f"unique within one partition only: {', '.join(f'`{name}`' for name in alone)}" if alone else None
        )
        return self._claim(KEYS, "proven", told, warning=warning)

    def _unique_alone(self, leaf: Table) -> list[str]:
        query = f"""
            SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             WHERE i.indrelid = {relation_literal(leaf.name)}::regclass AND i.indisunique
               AND NOT c.relispartition"""  # noqa: S608 - a quoted name
        return [name for (name,) in self._run(query)]

    def _is_hash(self) -> bool:
        tables = (self.root, *self.ground.below(self.root.name))
        return all(t.partition_by.strategy == "hash" for t in tables if t.partition_by)

    def _run(self, query: str) -> list[tuple[Any, ...]]:
        return self.ground.connection.execute(query.encode()).fetchall()

    def _claim(
        self, claim: str, state: State, detail: str, leaf: Table | None = None, warning: str | None = None
    ) -> Claim:
        return Claim(
            kind="partition" if leaf else "partitioned table",
            object=str(leaf.name if leaf else self.root.name),
            claim=claim,
            state=state,
            detail=detail,
            table=self.root.name,
            warning=warning,
        )


def _text(element: IndexElement) -> str:
    return str(identifier(element.column)) if element.column is not None else f"({element.expression})"


def _relations(node: Mapping[str, Any]) -> Iterator[Name]:
    if "Relation Name" in node:
        yield Name(node["Schema"], node["Relation Name"])
    for child in node.get("Plans", ()):
        yield from _relations(child)
