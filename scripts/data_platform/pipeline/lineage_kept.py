"""Column lineage within the store: views and summaries, the tables of projections, collections of Qdrant.

A projection's table is made of events by the statements of its handlers: each value of an event's payload is a column
of the source that the outbox tells of, or of the event's type in an event store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from data_platform.pipeline.lineage_select import (
    DIALECT,
    Column,
    Columns,
    How,
    Origin,
    TargetLineage,
    of_select,
    of_sources,
    strongest,
)
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import CollectionSpec, ProjectionSpec, SummarySpec

_EVENT = "e"
"""What handlers call the event."""
_ROW_OF = frozenset({"jsonb_populate_record", "json_populate_record", "jsonb_to_record", "json_to_record"})
_WRAPPING = (exp.Paren, exp.Cast)


def kept_targets(spec: Pipeline) -> Iterator[TargetLineage]:
    """Of all that the patterns views, events and cqrs keep; nothing is connected to."""
    sources = of_sources(spec)
    known = {str(one.table): sources[one.name] for one in spec.sources if one.table is not None}
    summaries = [_of_summary(one, sources[one.source]) for one in spec.kept.summaries]
    # Which views may read.
    known |= {one.table: Columns(one.columns, ()) for one in summaries}
    for view in spec.kept.views:
        name = str(view.name)
        known[name] = of_select(name, view.sql, known)
        yield TargetLineage(name, "views", known[name].columns, known[name].unresolved)
    yield from summaries
    for projection in spec.kept.projections:
        yield from _of_projection(projection, of_rows=spec.pattern == "cqrs")
    for collection in spec.kept.collections:
        yield _of_collection(spec, collection, sources[collection.source])


def _of_summary(summary: SummarySpec, source: Columns) -> TargetLineage:
    named = {one.name: one for one in source.columns}

    def of(column: str, how: How) -> tuple[Origin, ...]:
        if column in named:
            return tuple(Origin(one.relation, one.column, how) for one in named[column].origins)
        return (Origin(summary.source, column, how),)

    columns = [Column(name, of(name, "identity")) for name in summary.groups]
    for name, (function, column) in summary.measures.items():
        said = f"{summary.view}: {function}({column or '*'})"
        columns.append(Column(name, of(column, "aggregation") if column else (), (said,)))
    return TargetLineage(str(summary.view), summary.source, tuple(columns), ())


def _of_collection(spec: Pipeline, collection: CollectionSpec, source: Columns) -> TargetLineage:
    """A point: its id of the key, its vector, and what its payload holds."""
    key = next(one.key for one in spec.sources if one.name == collection.source)
    there = [one.name for one in source.columns if one.name != collection.column]
    payload = [*key, *(name for name in collection.payload or there if name not in key)]

    def of(*names: str, how: How = "identity") -> tuple[Origin, ...]:
        return tuple(Origin(collection.source, name, how) for name in names)

    columns = [
        Column("id", of(*key, how="transformation"), (f"{collection.name}: an id made of the key",)),
        Column(collection.vector or "vector", of(collection.column)),
        *(Column(f"payload.{name}", of(name)) for name in payload),
    ]
    said = () if collection.payload else source.unresolved
    return TargetLineage(collection.collection, collection.source, tuple(columns), said)


# --- projections ---


@dataclass
class _Made:
    """A table of a projection: its columns in order, what each is made of, and what cannot be told."""

    columns: dict[str, list[Column]]
    unresolved: dict[str, None] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        parts = self.columns[name]
        ways: dict[tuple[str, str], How] = {}
        for origin in (one for part in parts for one in part.origins):
            before = ways.get((origin.relation, origin.column), origin.how)
            ways[origin.relation, origin.column] = strongest((before, origin.how))
        return Column(
            name,
            tuple(Origin(*place, how) for place, how in ways.items()),
            tuple(dict.fromkeys(text for part in parts for text in part.expressions)),
            tuple(dict.fromkeys(text for part in parts for text in part.unresolved)),
        )


def _of_projection(projection: ProjectionSpec, *, of_rows: bool) -> Iterator[TargetLineage]:
    """`of_rows`: its events tell of the rows of a source, whose name their types begin with."""
    tables: dict[str, _Made] = {}
    views: dict[str, str] = {}
    for text in projection.tables:
        made = _parsed(text)
        if not isinstance(made, exp.Create):
            continue
        if isinstance(made.this, exp.Schema):
            names = [one.name for one in made.this.expressions if isinstance(one, exp.ColumnDef)]
            tables[made.this.this.name] = _Made({name: [] for name in names})
        elif made.kind == "VIEW" and made.expression is not None:
            views[made.this.name] = made.expression.sql(DIALECT)
    for type_, handler in projection.handlers.items():
        relation = type_.rpartition(".")[0] if of_rows else type_
        _handled(tables, type_, relation, handler)
    known: dict[str, Columns] = {}
    for name, table in tables.items():
        known[name] = Columns(tuple(map(table.column, table.columns)), tuple(table.unresolved))
    for name, sql in views.items():
        known[name] = of_select(name, sql, known)
    for name, columns in known.items():
        yield TargetLineage(f"{projection.name}.{name}", projection.name, columns.columns, columns.unresolved)


def _parsed(text: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(text, dialect=DIALECT)
    except SqlglotError:
        return None


def _handled(tables: Mapping[str, _Made], type_: str, relation: str, handler: str) -> None:
    """What a handler puts into the columns of a table is added to them."""
    tree = _parsed(handler)
    if isinstance(tree, exp.Delete):
        return
    table = tree.find(exp.Table) if isinstance(tree, exp.Insert | exp.Update) else None
    made = tables.get(table.name) if table is not None else None
    if made is None or table is None:
        for one in tables.values():
            one.unresolved[f"the handler of `{type_}` is no INSERT or UPDATE that can be looked into"] = None
        return
    reading = _Reading(type_, relation, table.name, made, _rows_of_payload(tree))
    for name, value in _assigned(tree, made, reading):
        if name in made.columns:
            made.columns[name].append(reading.of(name, value))


def _rows_of_payload(tree: exp.Expr | None) -> frozenset[str]:
    """The aliases under which a statement reads the payload as a row."""
    found = tree.find_all(exp.Table) if tree is not None else ()
    return frozenset(
        one.alias
        for one in found
        if isinstance(one.this, exp.Anonymous) and str(one.this.this).lower() in _ROW_OF and one.alias
    )


def _assigned(tree: exp.Expr | None, made: _Made, reading: _Reading) -> Iterator[tuple[str, exp.Expr]]:
    """Columns and what they become; `excluded` is what the INSERT has."""
    if isinstance(tree, exp.Update):
        yield from _set(tree.expressions)
        return
    assert isinstance(tree, exp.Insert)
    names = (
        [one.name for one in tree.this.expressions]
        if isinstance(tree.this, exp.Schema)
        else list(made.columns)
    )
    source = tree.expression
    rows = (
        [list(source.expressions)]
        if isinstance(source, exp.Select)
        else [list(one.expressions) for one in source.expressions]
        if isinstance(source, exp.Values)
        else []
    )
    if not rows:
        made.unresolved[f"the handler of `{reading.type}` inserts what cannot be looked into"] = None
    inserted: dict[str, exp.Expr] = {}
    for row in rows:
        inserted |= dict(zip(names, reading.opened(row, names), strict=False))
        yield from inserted.items()
    conflict = tree.args.get("conflict")
    for name, value in _set(conflict.expressions if conflict is not None else ()):
        yield name, value.transform(lambda node: _of_insert(node, inserted))


def _of_insert(node: exp.Expr, inserted: Mapping[str, exp.Expr]) -> exp.Expr:
    if isinstance(node, exp.Column) and node.table == "excluded" and node.name in inserted:
        return inserted[node.name].copy()
    return node


def _set(assignments: Iterable[exp.Expr]) -> Iterator[tuple[str, exp.Expr]]:
    for one in assignments:
        if isinstance(one, exp.EQ):
            yield one.this.name, one.expression


@dataclass(frozen=True)
class _Reading:
    """How a handler's expressions are read: of an event's type, which tells of `relation`, into a table.

    `rows` are the aliases of the payload as a row.
    """

    type: str
    relation: str
    table: str
    made: _Made
    rows: frozenset[str]

    def opened(self, row: list[exp.Expr], names: list[str]) -> Iterator[exp.Expr]:
        """The expressions of a row; `r.*` of the payload is a column for each name that is left."""
        for one in row:
            if isinstance(one, exp.Column) and isinstance(one.this, exp.Star) and one.table in self.rows:
                for name in names[: len(names) - len(row) + 1]:
                    yield exp.column(name, one.table)
            else:
                yield one.unalias()

    def of(self, name: str, value: exp.Expr) -> Column:
        """The column that takes the value."""
        found: dict[tuple[str, str], None] = {}
        unresolved: dict[str, None] = {}
        adds = False
        for leaf in self._leaves(value):
            place = self._place(leaf)
            if place is not None:
                found[place] = None
            elif (
                isinstance(leaf, exp.Column)
                and leaf.table in ("", self.table)
                and leaf.name in self.made.columns
            ):
                adds = True
            else:
                unresolved[f"`{leaf.sql(DIALECT)}` is of no event and no column of `{self.table}`"] = None
        how: How = "aggregation" if adds else "identity" if _is_plain(value) else "transformation"
        said = () if how == "identity" else (f"{self.table}: {value.sql(DIALECT)}",)
        return Column(
            name,
            tuple(Origin(*place, how) for place in found),
            said if found or adds else (),
            tuple(unresolved),
        )

    def _leaves(self, value: exp.Expr) -> Iterator[exp.Expr]:
        """Columns, and paths into the payload, the outermost of which are told."""
        if isinstance(value, exp.Column) or self._place(value) is not None:
            yield value
            return
        for child in value.iter_expressions():
            yield from self._leaves(child)

    def _place(self, leaf: exp.Expr) -> tuple[str, str] | None:
        """What of the event it is."""
        if isinstance(leaf, exp.JSONExtract | exp.JSONExtractScalar):
            below = leaf.this.unnest()
            keys = [one.name for one in leaf.expression.find_all(exp.JSONPathKey)]
            if isinstance(below, exp.Column) and below.table == _EVENT and keys:
                return (self.relation, keys[0]) if below.name == "payload" else (self.relation, below.name)
            return self._place(below)
        if isinstance(leaf, exp.Column) and leaf.table in self.rows:
            return self.relation, leaf.name
        if isinstance(leaf, exp.Column) and leaf.table == _EVENT:
            return self.relation, leaf.name
        return None


def _is_plain(value: exp.Expr) -> bool:
    """A value as it is, of another type perhaps."""
    while isinstance(value, _WRAPPING):
        value = value.this
    return isinstance(value, exp.Column | exp.JSONExtract | exp.JSONExtractScalar)
