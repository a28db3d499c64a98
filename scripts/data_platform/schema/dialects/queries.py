"""A view's query in the target: names resolved, stars spelled out, each part translated or the whole refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from postgast import pg_query_pb2 as pb
from sqlglot import exp

from data_platform.model.database import Name
from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.reading import NUMBERS, Node, Reader
from data_platform.schema.dialects.scope import Scope, Typed, nested
from data_platform.schema.dialects.spellings import Kind
from data_platform.sql.text import parse

Columns: TypeAlias = tuple[tuple[str, str, Kind], ...]
"""(name in the model, name in the target, kind) of what a relation yields."""

_SELECT_PARTS = frozenset(
    {
        "target_list",
        "from_clause",
        "where_clause",
        "group_clause",
        "having_clause",
        "sort_clause",
        "limit_count",
        "limit_offset",
        "limit_option",
        "distinct_clause",
        "with_clause",
        "op",
        "all",
        "larg",
        "rarg",
    }
)
_JOINS = {pb.JOIN_INNER: "", pb.JOIN_LEFT: "LEFT", pb.JOIN_RIGHT: "RIGHT", pb.JOIN_FULL: "FULL"}
_SETS = {pb.SETOP_UNION: exp.Union, pb.SETOP_INTERSECT: exp.Intersect, pb.SETOP_EXCEPT: exp.Except}
_AGGREGATES: dict[str, type[exp.AggFunc]] = {
    "count": exp.Count,
    "sum": exp.Sum,
    "min": exp.Min,
    "max": exp.Max,
    "avg": exp.Avg,
}


@dataclass(frozen=True)
class Relation:
    """What a query may read from: a table or view of the target, or a common table expression."""

    node: exp.Table
    columns: Columns


@dataclass(frozen=True)
class Source:
    """A relation under its alias."""

    alias: str
    columns: Columns


@dataclass(frozen=True)
class _Sides:
    """A join while its right side is read: what its left side shows, and where the join's columns begin in `*`."""

    before: Mapping[tuple[str, ...], Typed]
    start: int


class QueryReader(Reader):
    """Translates a SELECT."""

    def __init__(
        self,
        scope: Scope,
        relations: Mapping[Name, Relation],
        path: tuple[str, ...],
        quote: Callable[[str], exp.Identifier],
    ) -> None:
        super().__init__(scope)
        self.relations = relations
        self.path = path
        self.quote = quote
        self.ctes: dict[str, Relation] = {}

    def query(self, text: str) -> tuple[exp.Query, Columns]:
        """The SELECT in `text`, and what it yields."""
        statements = parse(text).stmts
        if len(statements) != 1 or not statements[0].stmt.HasField("select_stmt"):
            raise Untranslatable("it is not one SELECT")
        return self._select(statements[0].stmt.select_stmt)

    # ------------------------------------------------------------------ statements
    def _select(self, node: Node) -> tuple[exp.Query, Columns]:
        parts = {field.name for field, _ in node.ListFields()}
        if parts - _SELECT_PARTS:
            raise Untranslatable(f"there is no translation of {', '.join(sorted(parts - _SELECT_PARTS))}")
        outer = dict(self.ctes)
        ctes = [self._cte(item.common_table_expr, node.with_clause) for item in node.with_clause.ctes]
        made, columns = self._set(node) if node.op in _SETS else self._plain(node)
        if ctes:
            made.set("with_", exp.With(expressions=ctes, recursive=node.with_clause.recursive))
        self.ctes = outer
        return made, columns

    def _cte(self, node: Node, clause: Node) -> exp.CTE:
        if node.aliascolnames or clause.recursive or not node.ctequery.HasField("select_stmt"):
            raise Untranslatable("there is no translation of a recursive query")
        made, columns = self._select(node.ctequery.select_stmt)
        name = self.quote(node.ctename)
        self.ctes[node.ctename] = Relation(exp.Table(this=name.copy()), columns)
        return exp.CTE(this=made, alias=exp.TableAlias(this=name))

    def _set(self, node: Node) -> tuple[exp.Query, Columns]:
        left, columns = self._select(node.larg)
        right, others = self._select(node.rarg)
        if [kind for _, _, kind in columns] != [kind for _, _, kind in others]:
            raise Untranslatable("the two sides of a set operation have different types")
        made = _SETS[node.op](this=left, expression=right, distinct=not node.all)
        outputs = {name: exp.Column(this=self.quote(name)) for name, _, _ in columns}
        self._order_and_limit(made, node, outputs, {})
        return made, columns

    def _plain(self, node: Node) -> tuple[exp.Query, Columns]:
        made = exp.Select()
        inner = self._inside(self._from(made, node.from_clause))
        outputs = inner._outputs(node.target_list, self._last_sources, self._all)
        made.set("expressions", [exp.alias_(value.node, self.quote(name)) for name, value in outputs])
        if node.HasField("where_clause"):
            made.set("where", exp.Where(this=inner.read(node.where_clause).node))
        by_name = {name: value.node for name, value in outputs}
        groups = [inner._group(item, by_name) for item in node.group_clause]
        if groups:
            made.set("group", exp.Group(expressions=groups))
        if node.HasField("having_clause"):
            made.set("having", exp.Having(this=inner.read(node.having_clause).node))
        if node.distinct_clause:
            if any(item.WhichOneof("node") for item in node.distinct_clause):
                raise Untranslatable("DISTINCT ON has no translation")
            made.set("distinct", exp.Distinct())
        aliases = {name: exp.Column(this=self.quote(name)) for name in by_name}
        inner._order_and_limit(made, node, aliases, by_name)
        return made, tuple((name, self.quote(name).name, value.kind) for name, value in outputs)

    def _inside(self, columns: Mapping[tuple[str, ...], Typed]) -> QueryReader:
        """A reader that sees these columns, and those around it."""
        scope = replace(self.scope, columns={**self.scope.columns, **columns})
        inner = QueryReader(scope, self.relations, self.path, self.quote)
        inner.ctes = dict(self.ctes)
        return inner

    # ------------------------------------------------------------------ FROM
    def _from(self, made: exp.Select, items: Iterable[Node]) -> dict[tuple[str, ...], Typed]:
        self._last_sources: list[Source] = []
        self._all: list[tuple[str, Typed]] = []
        visible: dict[tuple[str, ...], Typed] = {}
        for number, item in enumerate(items):
            node = self._from_item(made, item, visible)
            if number == 0:
                made.set("from_", exp.From(this=node))
            else:
                made.append("joins", exp.Join(this=node, kind="CROSS"))
        return visible

    def _from_item(self, made: exp.Select, item: Node, visible: dict[tuple[str, ...], Typed]) -> exp.Expr:
        which = item.WhichOneof("node")
        if which == "range_var":
            return self._table(item.range_var, visible)
        if which == "range_subselect" and not item.range_subselect.lateral:
            alias = item.range_subselect.alias
            query, columns = self._select_apart(item.range_subselect.subquery.select_stmt)
            return exp.Subquery(this=query, alias=self._named(alias, columns, visible))
        if which == "join_expr":
            return self._join(made, item.join_expr, visible)
        raise Untranslatable("there is no translation of this part of FROM")

    def _select_apart(self, node: Node) -> tuple[exp.Query, Columns]:
        apart = QueryReader(self.scope, self.relations, self.path, self.quote)
        apart.ctes = dict(self.ctes)
        return apart._select(node)

    def _table(self, node: Node, visible: dict[tuple[str, ...], Typed]) -> exp.Expr:
        relation = self._relation(node.schemaname, node.relname)
        name = node.alias.aliasname or node.relname
        if node.alias.colnames:
            raise Untranslatable("there is no translation of column aliases in FROM")
        alias = self._see(name, relation.columns, visible)
        return exp.alias_(relation.node.copy(), alias, table=True)

    def _relation(self, schema: str, name: str) -> Relation:
        if not schema and name in self.ctes:
            return self.ctes[name]
        for place in (schema,) if schema else self.path:
            if Name(place, name) in self.relations:
                return self.relations[Name(place, name)]
        raise Untranslatable(f"it reads `{name}`, which is not there")

    def _named(self, alias: Node, columns: Columns, visible: dict[tuple[str, ...], Typed]) -> exp.TableAlias:
        if not alias.aliasname or alias.colnames:
            raise Untranslatable("there is no translation of a subquery without a plain alias")
        return exp.TableAlias(this=self._see(alias.aliasname, columns, visible))

    def _see(self, alias: str, columns: Columns, visible: dict[tuple[str, ...], Typed]) -> exp.Identifier:
        """Make the columns visible under the alias; a plain name that two relations have is visible no more."""
        quoted = self.quote(alias)
        known = {name for source in self._last_sources for name, _, _ in source.columns}
        self._last_sources.append(Source(alias, columns))
        for name, own, kind in columns:
            reference = exp.Column(this=exp.to_identifier(own, quoted=True), table=quoted.copy())
            visible[(alias, name)] = Typed(reference, kind)
            self._all.append((name, visible[(alias, name)]))
            if name in known:
                visible.pop((name,), None)
            else:
                visible[(name,)] = Typed(reference, kind)
        return quoted

    def _join(self, made: exp.Select, node: Node, visible: dict[tuple[str, ...], Typed]) -> exp.Expr:
        kind = _JOINS.get(node.jointype)
        outer = kind in ("RIGHT", "FULL") and self.dialect in ("sqlite", "mysql")
        unusual = node.join_using_alias.aliasname or node.alias.aliasname
        if kind is None or node.is_natural or outer or unusual or node.rarg.HasField("join_expr"):
            raise Untranslatable("there is no translation of this join")
        start = len(self._all)
        left = self._from_item(made, node.larg, visible)
        joined = _Sides(dict(visible), start)
        right = self._from_item(made, node.rarg, visible)
        if node.using_clause:
            names = [part.string.sval for part in node.using_clause]
            condition = self._using(names, kind, joined, visible)
        elif node.HasField("quals"):
            condition = self._inside(visible).read(node.quals).node
        else:
            made.append("joins", exp.Join(this=right, kind="CROSS"))
            return left
        made.append("joins", exp.Join(this=right, side=kind or None, on=condition))
        return left

    def _using(
        self, names: list[str], side: str, joined: _Sides, visible: dict[tuple[str, ...], Typed]
    ) -> exp.Expr:
        """The condition of USING. After it each of its columns is one, of the side that keeps its rows."""
        tests: list[exp.Expr] = []
        right = self._last_sources[-1].alias
        for name in names:
            one, other = joined.before.get((name,)), visible.get((right, name))
            if one is None or other is None:
                raise Untranslatable(f"the column `{name}` of USING is not there, or not once")
            tests.append(self.compared(one, other, "=").node)
            kept = {"RIGHT": other.node, "FULL": exp.Coalesce(this=one.node, expressions=[other.node])}
            visible[(name,)] = Typed(kept.get(side, one.node), one.kind)
        # In `*` they come first, and once.
        rest = [column for column in self._all[joined.start :] if column[0] not in names]
        self._all[joined.start :] = [*((name, visible[(name,)]) for name in names), *rest]
        return exp.and_(*tests)

    # ------------------------------------------------------------------ SELECT list, GROUP BY, ORDER BY
    def _outputs(
        self, targets: Iterable[Node], sources: list[Source], every: list[tuple[str, Typed]]
    ) -> list[tuple[str, Typed]]:
        outputs: list[tuple[str, Typed]] = []
        for item in targets:
            target = item.res_target
            fields = target.val.column_ref.fields if target.val.HasField("column_ref") else ()
            if fields and fields[-1].HasField("a_star"):
                outputs += self._star(sources, fields[0].string.sval) if len(fields) > 1 else every
            else:
                outputs.append((_output_name(target), self.read(target.val)))
        names = [name for name, _ in outputs]
        if len(set(map(str.casefold, names))) != len(names):
            raise Untranslatable("two of its columns have one name here")
        return outputs

    def _star(self, sources: list[Source], alias: str) -> list[tuple[str, Typed]]:
        return [
            (name, self.scope.columns[(source.alias, name)])
            for source in sources
            if alias == source.alias
            for name, _, _ in source.columns
        ]

    def _group(self, item: Node, outputs: Mapping[str, exp.Expr]) -> exp.Expr:
        return self._by(item, outputs, outputs)

    def _by(self, item: Node, names: Mapping[str, exp.Expr], positions: Mapping[str, exp.Expr]) -> exp.Expr:
        """What GROUP BY or ORDER BY means by an item: a position, a name of the output, or an expression."""
        if item.HasField("a_const") and item.a_const.HasField("ival"):
            found: exp.Expr = list(positions.values())[item.a_const.ival.ival - 1]
            return found.copy()
        parts = [part.string.sval for part in item.column_ref.fields] if item.HasField("column_ref") else []
        if len(parts) == 1 and parts[0] in names and (parts[0],) not in self.scope.columns:
            return names[parts[0]].copy()
        return self.read(item).node

    def _order_and_limit(
        self,
        made: exp.Query,
        node: Node,
        aliases: Mapping[str, exp.Expr],
        outputs: Mapping[str, exp.Expr],
    ) -> None:
        ordered = [self._sorted(item.sort_by, aliases, outputs) for item in node.sort_clause]
        if ordered:
            made.set("order", exp.Order(expressions=ordered))
        for part, key, kind in (("limit_count", "limit", exp.Limit), ("limit_offset", "offset", exp.Offset)):
            if node.HasField(part):
                made.set(key, kind(expression=self.read(getattr(node, part)).node))
        if node.limit_option == pb.LIMIT_OPTION_WITH_TIES:
            raise Untranslatable("WITH TIES has no translation")

    def _sorted(
        self, node: Node, aliases: Mapping[str, exp.Expr], outputs: Mapping[str, exp.Expr]
    ) -> exp.Ordered:
        if node.use_op:
            raise Untranslatable("ORDER BY … USING has no translation")
        descending = node.sortby_dir == pb.SORTBY_DESC
        first = node.sortby_nulls == pb.SORTBY_NULLS_FIRST or (
            node.sortby_nulls == pb.SORTBY_NULLS_DEFAULT and descending
        )
        value = self._by(node.node, aliases, outputs or aliases)
        return exp.Ordered(this=value, desc=descending, nulls_first=first)

    # ------------------------------------------------------------------ expressions of queries only
    def _func_call(self, node: Node) -> Typed:
        name = node.funcname[-1].string.sval
        if name not in _AGGREGATES:
            return super()._func_call(node)
        extra = {f.name for f, _ in node.ListFields()} - {"funcname", "args", "agg_star", "agg_distinct"}
        if extra - {"location", "funcformat"}:
            raise Untranslatable(f"there is no translation of {', '.join(sorted(extra))} in an aggregate")
        if node.agg_star:
            return Typed(exp.Count(this=exp.Star()), "integer")
        return self._aggregate(name, self.read(node.args[0]), distinct=node.agg_distinct)

    def _aggregate(self, name: str, value: Typed, *, distinct: bool) -> Typed:
        inner: exp.Expr = value.node
        if name in ("sum", "avg"):
            self.require(value, NUMBERS, f"`{name}`")
        if name == "avg" and value.kind != "float":
            self.note("an average has another number of digits")
        if name in ("min", "max") and value.kind not in NUMBERS | {"date", "timestamp", "timestamptz"}:
            raise Untranslatable(f"`{name}` of a {value.kind} has no exact counterpart")
        if distinct:
            inner = exp.Distinct(expressions=[inner])
        kinds: dict[str, Kind] = {"count": "integer", "avg": "float" if value.kind == "float" else "decimal"}
        return Typed(_AGGREGATES[name](this=inner), kinds.get(name, value.kind))

    def _sub_link(self, node: Node) -> Typed:
        query, columns = self._select_apart(node.subselect.select_stmt)
        if node.sub_link_type == pb.EXISTS_SUBLINK:
            return Typed(exp.Exists(this=query), "boolean")
        if len(columns) != 1 or node.oper_name:
            raise Untranslatable("there is no translation of this subquery")
        if node.sub_link_type == pb.EXPR_SUBLINK:
            return Typed(exp.Subquery(this=query), columns[0][2])
        if node.sub_link_type == pb.ANY_SUBLINK:
            subject = self.read(node.testexpr)
            if subject.kind != columns[0][2]:
                raise Untranslatable("IN compares two types")
            return Typed(exp.In(this=nested(subject.node), query=exp.Subquery(this=query)), "boolean")
        raise Untranslatable("there is no translation of this subquery")


def _output_name(target: Node) -> str:
    if target.name:
        return str(target.name)
    value = target.val
    while value.HasField("type_cast"):
        value = value.type_cast.arg
    if value.HasField("column_ref"):
        return str(value.column_ref.fields[-1].string.sval)
    if value.HasField("func_call"):
        return str(value.func_call.funcname[-1].string.sval)
    if value.HasField("coalesce_expr"):
        return "coalesce"
    raise Untranslatable("a column of it has no name")
