"""What an access pattern asks of each table: filters, joins and order, each name read in its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import postgast

from data_platform.model.database import Column, Name, Table
from data_platform.model.design import AccessPattern
from data_platform.schema.rules import trees
from data_platform.schema.rules.trees import Kind
from data_platform.sql.statements import only_statement

pb = postgast.pg_query_pb2

Role = Literal["select", "insert", "update", "delete", "merge"]

_ROLES: dict[Any, Role] = {
    pb.SelectStmt: "select",
    pb.InsertStmt: "insert",
    pb.UpdateStmt: "update",
    pb.DeleteStmt: "delete",
    pb.MergeStmt: "merge",
}
_TEXTS = frozenset({"text", "varchar"})

TypeName = Callable[[Column], str]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A comparison in WHERE or ON, seen from one table.

    `key` is the table's side of it, as PostgreSQL prints it without qualifiers: a column, or `lower(email)`.
    """

    kind: Kind
    operator: str
    key: str
    column: str | None
    """The key if it is a column and nothing else."""
    columns: frozenset[str] = frozenset()
    """Of the table, in the key."""
    text: str = ""
    """The whole comparison."""
    certain: bool = True
    """False under OR."""
    joins: bool = False
    """The other side comes from another table."""
    constant: bool = False
    """The other side is known when the query is planned."""
    hides_beginning: bool = False
    """A LIKE that no btree can serve."""


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """One item of ORDER BY."""

    key: str
    column: str | None
    columns: frozenset[str]
    table: Name | None
    """The table of the columns, if it is one."""
    descending: bool
    distance: str | None
    """The operator if the item is `column <=> value`; key and column are then the vector's."""
    holds_distance: bool


@dataclass(frozen=True, kw_only=True)
class Use:
    """One mention of a table in a query."""

    table: Table
    alias: str
    role: Role
    limited: bool
    conditions: tuple[Condition, ...]
    order: tuple[Sorted, ...]
    """The items of ORDER BY, if the first is this table's."""
    touched: frozenset[str]
    """Columns that decide which rows are read and in which order."""
    mentioned: frozenset[str]
    """Columns in any part of the query."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """An access pattern, read."""

    pattern: AccessPattern
    uses: tuple[Use, ...]
    stars: tuple[Name, ...]
    """Tables of which `*` selects every column."""
    paged: tuple[Sorted, ...] | None
    """The ORDER BY beside an OFFSET; None without OFFSET."""
    steps: tuple[str, ...]
    """Conditions of the form `a > x OR (a = x AND b > y)`."""


def read(
    pattern: AccessPattern, tables: Mapping[Name, Table], schemas: Sequence[str], type_name: TypeName
) -> Query:
    """What `pattern` asks of `tables`; unqualified names are looked up in `schemas`."""
    reader = _Reader(tables, schemas, type_name)
    reader.statement(trees.inner(only_statement(pattern.sql)), (), frozenset())
    return Query(
        pattern=pattern,
        uses=tuple(draft.done() for draft in reader.drafts),
        stars=tuple(dict.fromkeys(reader.stars)),
        paged=reader.paged,
        steps=tuple(reader.steps),
    )


@dataclass(eq=False, kw_only=True)
class _Draft:
    """A use while its statement is being read."""

    table: Table
    alias: str
    role: Role
    limited: bool
    conditions: list[Condition] = field(default_factory=list)
    order: list[Sorted] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names = frozenset(column.name for column in self.table.columns)

    def done(self) -> Use:
        return Use(
            table=self.table,
            alias=self.alias,
            role=self.role,
            limited=self.limited,
            conditions=tuple(self.conditions),
            order=tuple(self.order),
            touched=frozenset(self.touched),
            mentioned=frozenset(self.mentioned),
        )


_Found = tuple[_Draft, str]


@dataclass(frozen=True)
class _Scope:
    """What a column reference in one statement can mean."""

    own: tuple[_Draft, ...]
    outer: tuple[_Draft, ...]

    def columns(self, node: Any) -> list[_Found]:
        """Every column below `node`, nested statements left out."""
        references = [part for part in trees.below(node) if isinstance(part, pb.ColumnRef)]
        return [found for reference in references for found in self.resolve(_parts(reference))]

    def resolve(self, parts: list[str]) -> list[_Found]:
        """The column that `table.column` or `column` names; several where that is ambiguous."""
        for drafts in (self.own, self.outer) if parts else ():
            fits = [d for d in drafts if parts[-1] in d.names and (len(parts) == 1 or d.alias == parts[-2])]
            if fits:
                return [(draft, parts[-1]) for draft in fits]
        return []


class _Reader:
    """Reads one statement and those nested in it."""

    def __init__(self, tables: Mapping[Name, Table], schemas: Sequence[str], type_name: TypeName) -> None:
        self.tables = tables
        self.schemas = schemas
        self.type_name = type_name
        self.drafts: list[_Draft] = []
        self.stars: list[Name] = []
        self.paged: tuple[Sorted, ...] | None = None
        self.steps: list[str] = []

    def statement(
        self, node: Any, outer: tuple[_Draft, ...], ctes: frozenset[str], *, in_exists: bool = False
    ) -> None:
        """One SELECT, INSERT, UPDATE, DELETE or MERGE; `outer` are the tables of the statements around it."""
        below = list(trees.below(node))
        ctes |= {part.ctename for part in below if isinstance(part, pb.CommonTableExpr)}
        scope = _Scope(tuple(self._drafts(node, below, ctes)), outer)
        self.drafts += scope.own
        self._mentions(node, scope)
        self._filters(node, below, scope)
        self._order(node, below, scope)
        if not in_exists:
            self._stars(node, scope)
        around = (*scope.own, *outer)
        for part in below[1:]:
            if isinstance(part, trees.STATEMENTS):
                self.statement(part, around, ctes)
            elif trees.is_exists(part):
                self.statement(trees.inner(part.subselect), around, ctes, in_exists=True)

    def _drafts(self, node: Any, below: list[Any], ctes: frozenset[str]) -> Iterator[_Draft]:
        written = node.relation.location if hasattr(node, "relation") else None
        for part in below:
            table = self._table(part, ctes) if isinstance(part, pb.RangeVar) else None
            if table is not None:
                yield _Draft(
                    table=table,
                    alias=part.alias.aliasname or part.relname,
                    role=_ROLES[type(node)] if part.location == written else "select",
                    limited=isinstance(node, pb.SelectStmt) and node.HasField("limit_count"),
                )

    def _table(self, part: Any, ctes: frozenset[str]) -> Table | None:
        if not part.schemaname and part.relname in ctes:
            return None
        names = [
            Name(schema, part.relname) for schema in ([part.schemaname] if part.schemaname else self.schemas)
        ]
        return next((self.tables[name] for name in names if name in self.tables), None)

    def _mentions(self, node: Any, scope: _Scope) -> None:
        for draft, name in scope.columns(node):
            draft.mentioned.add(name)
        if isinstance(node, pb.UpdateStmt):
            for draft in scope.own[:1]:
                draft.mentioned.update(target.res_target.name for target in node.target_list)

    def _filters(self, node: Any, below: list[Any], scope: _Scope) -> None:
        wheres = [getattr(node, name) for name in ("where_clause", "join_condition") if hasattr(node, name)]
        joins = [part for part in below if isinstance(part, pb.JoinExpr)]
        for expression in (*wheres, *(join.quals for join in joins)):
            if expression.WhichOneof("node"):
                _touch(scope.columns(expression))
                for part, certain in trees.comparisons(expression):
                    self._conditions(part, certain, scope)
        for name in (name.string.sval for join in joins for name in join.using_clause):
            for draft, column in scope.resolve([name]):
                draft.touched.add(column)
                draft.conditions.append(
                    Condition(kind="equality", operator="=", key=column, column=column, joins=True)
                )

    def _conditions(self, node: Any, certain: bool, scope: _Scope) -> None:
        text = trees.plain(node)
        if trees.is_stepped(node):
            self.steps.append(text)
        for side in trees.sides(node):
            columns = scope.columns(side.key)
            others = scope.columns(side.other) if side.other is not None else []
            owners = {draft for draft, _ in columns}
            # A side over two tables, or a comparison of a table with itself, is nothing an index can find.
            if len(owners) == 1 and owners.isdisjoint(draft for draft, _ in others):
                draft = owners.pop()
                if draft in scope.own:
                    draft.conditions.append(self._condition(side, columns, bool(others), text, certain))

    def _condition(
        self, side: trees.Side, columns: list[_Found], joins: bool, text: str, certain: bool
    ) -> Condition:
        bare = self._bare(side.key, columns[0][0].table)
        other = side.other
        return Condition(
            kind=side.kind,
            operator=side.operator,
            key=bare or trees.plain(side.key),
            column=bare,
            columns=frozenset(name for _, name in columns),
            text=text,
            certain=certain,
            joins=joins or (other is not None and isinstance(trees.inner(other), trees.STATEMENTS)),
            constant=other is not None and trees.is_constant(other),
            hides_beginning=side.kind == "like" and trees.hides_beginning(other, side.operator),
        )

    def _bare(self, node: Any, table: Table) -> str | None:
        """The column that `node` is, through casts that change nothing."""
        if node.HasField("column_ref"):
            return _parts(node.column_ref)[-1]
        if not node.HasField("type_cast") or not node.type_cast.arg.HasField("column_ref"):
            return None
        name = _parts(node.type_cast.arg.column_ref)[-1]
        names = {node.type_cast.type_name.names[-1].string.sval, self.type_name(table.column(name))}
        return name if len(names) == 1 or names <= _TEXTS else None

    def _order(self, node: Any, below: list[Any], scope: _Scope) -> None:
        for part in below:
            if isinstance(part, pb.WindowDef) or trees.is_extreme(part):
                _touch(scope.columns(part))
        if not isinstance(node, pb.SelectStmt):
            return
        for part in (*node.group_clause, *node.distinct_clause):
            _touch(scope.columns(part))
        items = [_sorted(item.sort_by, node, scope) for item in node.sort_clause]
        if node.HasField("limit_offset") and not trees.is_zero(node.limit_offset):
            self.paged = tuple(items)
        first = next((d for d in scope.own if items and d.table.name == items[0].table), None)
        if first is not None:
            first.order += items

    def _stars(self, node: Any, scope: _Scope) -> None:
        for target in node.target_list if isinstance(node, pb.SelectStmt) else ():
            fields = target.res_target.val.column_ref.fields
            if fields and fields[-1].HasField("a_star"):
                alias = fields[-2].string.sval if len(fields) > 1 else None
                self.stars += [draft.table.name for draft in scope.own if alias in (None, draft.alias)]


def _sorted(item: Any, select: Any, scope: _Scope) -> Sorted:
    node = trees.output(item.node, select)
    columns = scope.columns(node)
    _touch(columns)
    owners = {draft.table.name for draft, _ in columns if draft in scope.own}
    key, distance = trees.distance(node) or (node, None)
    return Sorted(
        key=trees.plain(key),
        column=_parts(key.column_ref)[-1] if key.HasField("column_ref") and owners else None,
        columns=frozenset(name for _, name in columns),
        table=owners.pop() if len(owners) == 1 else None,
        descending=item.sortby_dir == pb.SORTBY_DESC,
        distance=distance,
        holds_distance=trees.holds_distance(node),
    )


def _parts(reference: Any) -> list[str]:
    """`orders.id` as its parts; a star has none."""
    parts = [str(part.string.sval) for part in reference.fields if part.HasField("string")]
    return parts if len(parts) == len(reference.fields) else []


def _touch(columns: Iterable[_Found]) -> None:
    for draft, name in columns:
        draft.touched.add(name)
