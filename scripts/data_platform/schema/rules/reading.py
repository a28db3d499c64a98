"""What an access pattern asks of each table: its filters, joins and order, from the parse tree and its scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import postgast

from data_platform.model.database import Column, Name, Table
from data_platform.model.design import AccessPattern
from data_platform.sql.statements import only_statement

pb = postgast.pg_query_pb2

Kind = Literal["equality", "range", "like", "search", "null", "other"]
Role = Literal["select", "insert", "update", "delete", "merge"]

_KINDS: dict[str, Kind] = {
    "=": "equality",
    **dict.fromkeys(("<", "<=", ">", ">="), "range"),
    **dict.fromkeys(("~~", "~~*", "~", "~*"), "like"),
    **dict.fromkeys("@> <@ ? ?| ?& @@ @? && -|- << >> &< &> % <% %> <<% %>>".split(), "search"),
}
_MIRRORED = {"@>": "<@", "<@": "@>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
DISTANCES = frozenset({"<->", "<=>", "<#>", "<+>", "<~>", "<%>"})

_ROLES: dict[Any, Role] = {
    pb.SelectStmt: "select",
    pb.InsertStmt: "insert",
    pb.UpdateStmt: "update",
    pb.DeleteStmt: "delete",
    pb.MergeStmt: "merge",
}
_STATEMENTS = tuple(_ROLES)
_TEXTS = frozenset({"text", "varchar"})

TypeName = Callable[[Column], str]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A comparison in WHERE or ON, seen from one table.

    `key` is the table's side of it, as PostgreSQL prints it without qualifiers: a column or, say, `lower(email)`.
    """

    kind: Kind
    operator: str
    key: str
    column: str | None
    """The key if it is a column and nothing else."""
    columns: frozenset[str]
    """Of the table, in the key."""
    text: str
    """The whole comparison."""
    certain: bool
    """False under OR."""
    joins: bool
    """The other side has a column of another table."""
    constant: bool
    """The other side is known when the query is planned."""
    leading_wildcard: bool = False


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """One item of ORDER BY."""

    key: str
    column: str | None
    table: Name | None
    """The table of the item's columns, if it is one."""
    descending: bool
    distance: str | None = None
    """The operator if the item is `column <=> value`; the column is then the vector's."""
    holds_distance: bool = False


@dataclass(frozen=True, kw_only=True)
class Use:
    """One mention of a table in a query."""

    table: Table
    alias: str
    role: Role
    conditions: tuple[Condition, ...]
    order: tuple[Sorted, ...]
    """The items of ORDER BY that are this table's, from the first on."""
    limited: bool
    touched: frozenset[str]
    """Columns that decide which rows are read and in which order."""
    mentioned: frozenset[str]
    """Columns in any part of the query."""
    level: int
    """Uses of the same level stand in the same FROM."""


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
    """What `pattern` asks of `tables`, unqualified names looked up in `schemas`."""
    reader = _Reader(tables, schemas, type_name)
    reader.statement(_inner(only_statement(pattern.sql)), (), frozenset(), exists=False)
    return Query(
        pattern=pattern,
        uses=tuple(draft.done() for draft in reader.drafts),
        stars=tuple(dict.fromkeys(reader.stars)),
        paged=reader.paged,
        steps=tuple(reader.steps),
    )


def plain(node: Any) -> str:
    """An expression as PostgreSQL prints it, its columns without their tables."""
    tree = postgast.parse("SELECT 1")
    target = tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val
    target.CopyFrom(node)
    for reference in postgast.find_nodes(tree, pb.ColumnRef):
        del reference.fields[:-1]
    return str(postgast.deparse(tree).removeprefix("SELECT "))


def conjuncts(node: Any) -> Iterator[Any]:
    """The parts of an expression that AND joins."""
    if node.HasField("bool_expr") and node.bool_expr.boolop == pb.AND_EXPR:
        for part in node.bool_expr.args:
            yield from conjuncts(part)
    else:
        yield node


@dataclass
class _Draft:
    """A use while its statement is being read."""

    table: Table
    alias: str
    role: Role
    level: int
    limited: bool
    names: frozenset[str]
    conditions: list[Condition] = field(default_factory=list)
    order: list[Sorted] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)

    def done(self) -> Use:
        return Use(
            table=self.table,
            alias=self.alias,
            role=self.role,
            conditions=tuple(self.conditions),
            order=tuple(self.order),
            limited=self.limited,
            touched=frozenset(self.touched),
            mentioned=frozenset(self.mentioned),
            level=self.level,
        )


@dataclass(frozen=True)
class _Scope:
    """What a column reference of one statement can mean."""

    own: tuple[_Draft, ...]
    outer: tuple[_Draft, ...]

    def columns(self, node: Any) -> list[tuple[_Draft, str]]:
        """Every column below `node`, nested statements left out."""
        found = []
        for reference in _below(node):
            if isinstance(reference, pb.ColumnRef):
                found += self.resolve(
                    [part.string.sval for part in reference.fields if part.HasField("string")]
                )
        return found

    def resolve(self, parts: list[str]) -> list[tuple[_Draft, str]]:
        """The column that `table.column` or `column` names; several if that is ambiguous."""
        if not parts:
            return []
        name = parts[-1]
        for drafts in (self.own, self.outer):
            fits = [d for d in drafts if name in d.names and (len(parts) == 1 or d.alias == parts[-2])]
            if fits:
                return [(draft, name) for draft in fits]
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
        self.levels = 0

    def statement(self, node: Any, outer: tuple[_Draft, ...], ctes: frozenset[str], *, exists: bool) -> None:
        """One SELECT, INSERT, UPDATE, DELETE or MERGE; `outer` are the tables of the statements around it."""
        self.levels += 1
        below = list(_below(node))
        ctes |= {part.ctename for part in below if isinstance(part, pb.CommonTableExpr)}
        scope = _Scope(tuple(self._drafts(node, below, ctes)), outer)
        self.drafts += scope.own
        for draft, name in scope.columns(node):
            draft.mentioned.add(name)
        self._filters(node, below, scope)
        self._order(node, below, scope)
        if isinstance(node, pb.SelectStmt) and not exists:
            self._stars(node, scope)
        if isinstance(node, pb.UpdateStmt):
            scope.own[:1] and scope.own[0].mentioned.update(part.res_target.name for part in node.target_list)
        for part in below[1:]:
            if isinstance(part, _STATEMENTS):
                self.statement(part, (*scope.own, *outer), ctes, exists=False)
            elif _is_exists(part):
                self.statement(_inner(part.subselect), (*scope.own, *outer), ctes, exists=True)

    def _drafts(self, node: Any, below: list[Any], ctes: frozenset[str]) -> Iterator[_Draft]:
        written = node.relation.location if hasattr(node, "relation") else None
        for part in below:
            if not isinstance(part, pb.RangeVar) or (not part.schemaname and part.relname in ctes):
                continue
            schemas = (part.schemaname,) if part.schemaname else self.schemas
            table = next(
                (self.tables[n] for s in schemas if (n := Name(s, part.relname)) in self.tables), None
            )
            if table is not None:
                yield _Draft(
                    table=table,
                    alias=part.alias.aliasname or part.relname,
                    role=_ROLES[type(node)] if part.location == written else "select",
                    level=self.levels,
                    limited=isinstance(node, pb.SelectStmt) and node.HasField("limit_count"),
                    names=frozenset(column.name for column in table.columns),
                )

    def _filters(self, node: Any, below: list[Any], scope: _Scope) -> None:
        wheres = [getattr(node, name) for name in ("where_clause", "join_condition") if hasattr(node, name)]
        joins = [part for part in below if isinstance(part, pb.JoinExpr)]
        for expression in (*wheres, *(join.quals for join in joins)):
            if expression.WhichOneof("node"):
                _touch(scope.columns(expression))
                for part, certain in _parts(expression):
                    self._condition(part, certain, scope)
        for name in (name.string.sval for join in joins for name in join.using_clause):
            for draft, column in scope.resolve([name]):
                draft.touched.add(column)
                draft.conditions.append(
                    Condition(
                        kind="equality",
                        operator="=",
                        key=column,
                        column=column,
                        columns=frozenset({column}),
                        text="",
                        certain=True,
                        joins=True,
                        constant=False,
                    )
                )

    def _condition(self, node: Any, certain: bool, scope: _Scope) -> None:
        if _is_stepped(node):
            self.steps.append(plain(node))
        text = plain(node)
        for key, other, kind, operator in _sides(node):
            owners = scope.columns(key)
            draft = owners[0][0] if owners else None
            others = scope.columns(other) if other is not None else []
            if draft not in scope.own or any(owner is not draft for owner, _ in owners):
                continue
            assert draft is not None
            if any(owner is draft for owner, _ in others):
                continue
            bare = self._bare(key, draft.table)
            draft.conditions.append(
                Condition(
                    kind=kind,
                    operator=operator,
                    key=bare or plain(key),
                    column=bare,
                    columns=frozenset(name for _, name in owners),
                    text=text,
                    certain=certain,
                    joins=bool(others),
                    constant=other is not None and _is_constant(other),
                    leading_wildcard=kind == "like"
                    and other is not None
                    and _starts_with_wildcard(other, operator),
                )
            )

    def _bare(self, node: Any, table: Table) -> str | None:
        """The column that `node` is, through casts that change nothing."""
        if node.HasField("column_ref"):
            return str(node.column_ref.fields[-1].string.sval)
        if not node.HasField("type_cast") or not node.type_cast.arg.HasField("column_ref"):
            return None
        name = str(node.type_cast.arg.column_ref.fields[-1].string.sval)
        names = {node.type_cast.type_name.names[-1].string.sval, self.type_name(table.column(name))}
        return name if len(names) == 1 or names <= _TEXTS else None

    def _order(self, node: Any, below: list[Any], scope: _Scope) -> None:
        windows = [part for part in below if isinstance(part, pb.WindowDef)]
        extremes = [part for part in below if isinstance(part, pb.FuncCall) and _is_extreme(part)]
        for part in (*windows, *extremes):
            _touch(scope.columns(part))
        if not isinstance(node, pb.SelectStmt):
            return
        for part in (*node.group_clause, *node.distinct_clause):
            _touch(scope.columns(part))
        items = [self._sorted(item.sort_by, node, scope) for item in node.sort_clause]
        if node.HasField("limit_offset") and not _is_zero(node.limit_offset):
            self.paged = tuple(items)
        if items and items[0].table is not None:
            draft = next(d for d in scope.own if d.table.name == items[0].table)
            draft.order += [item for item in items if item.table == draft.table.name]

    def _sorted(self, item: Any, select: Any, scope: _Scope) -> Sorted:
        node = _output(item.node, select)
        columns = scope.columns(node)
        _touch(columns)
        tables = {draft.table.name for draft, _ in columns if draft in scope.own}
        table = next(iter(tables)) if len(tables) == 1 else None
        descending = item.sortby_dir == pb.SORTBY_DESC
        distance = _distance(node)
        key = node if distance is None else _vector_side(node)
        bare = key.HasField("column_ref") and table is not None
        return Sorted(
            key=plain(key),
            column=key.column_ref.fields[-1].string.sval if bare else None,
            table=table,
            descending=descending,
            distance=distance,
            holds_distance=any(
                _operator(part) in DISTANCES for part in _below(node) if isinstance(part, pb.A_Expr)
            ),
        )

    def _stars(self, node: Any, scope: _Scope) -> None:
        for target in node.target_list:
            fields = target.res_target.val.column_ref.fields
            if not fields or not fields[-1].HasField("a_star"):
                continue
            alias = fields[-2].string.sval if len(fields) > 1 else None
            self.stars += [draft.table.name for draft in scope.own if alias in (None, draft.alias)]


def _inner(node: Any) -> Any:
    return postgast.unwrap_node(node)


def _below(root: Any) -> Iterator[Any]:
    """Every message from `root` down, in order; nested statements and EXISTS are yielded but not entered."""
    waiting = [root]
    while waiting:
        message = _inner(waiting.pop())
        yield message
        if message is not root and (isinstance(message, _STATEMENTS) or _is_exists(message)):
            continue
        children = []
        for _, value in message.ListFields():
            if hasattr(value, "ListFields"):
                children.append(value)
            elif not isinstance(value, str | bytes | int | float):
                children += [item for item in value if hasattr(item, "ListFields")]
        waiting += reversed(children)


def _is_exists(message: Any) -> bool:
    return isinstance(message, pb.SubLink) and message.sub_link_type == pb.EXISTS_SUBLINK


def _touch(columns: Iterable[tuple[_Draft, str]]) -> None:
    for draft, name in columns:
        draft.touched.add(name)


def _parts(node: Any, certain: bool = True) -> Iterator[tuple[Any, bool]]:
    """The comparisons in a condition, and whether each must hold; an OR comes as a whole and in parts."""
    for part in conjuncts(node):
        yield part, certain
        if part.HasField("bool_expr") and part.bool_expr.boolop == pb.OR_EXPR:
            for branch in part.bool_expr.args:
                yield from _parts(branch, certain=False)


def _sides(node: Any) -> Iterator[tuple[Any, Any | None, Kind, str]]:
    """Each side of a comparison that an index could serve, with the other side, and how they are compared."""
    if node.HasField("null_test"):
        known = "IS NULL" if node.null_test.nulltesttype == pb.IS_NULL else "IS NOT NULL"
        yield node.null_test.arg, None, "null", known
    elif node.HasField("sub_link") and node.sub_link.sub_link_type == pb.ANY_SUBLINK:
        operator = "".join(part.string.sval for part in node.sub_link.oper_name[-1:]) or "="
        yield node.sub_link.testexpr, node.sub_link.subselect, _KINDS.get(operator, "other"), operator
    elif node.HasField("a_expr"):
        yield from _sides_of_operator(node.a_expr)
    else:
        yield node, None, "other", ""


def _sides_of_operator(node: Any) -> Iterator[tuple[Any, Any | None, Kind, str]]:
    left, right, operator = node.lexpr, node.rexpr, _operator(node)
    if node.kind == pb.AEXPR_BETWEEN:
        yield left, right, "range", "BETWEEN"
    elif node.kind in (pb.AEXPR_LIKE, pb.AEXPR_ILIKE, pb.AEXPR_SIMILAR):
        yield left, right, "other" if operator.startswith("!") else "like", operator
    elif node.kind == pb.AEXPR_IN:
        yield left, right, "equality" if operator == "=" else "other", operator
    elif node.kind == pb.AEXPR_OP_ANY:
        yield left, right, _KINDS.get(operator, "other"), operator
        yield right, left, "other", f"{operator} ANY"
    elif node.kind == pb.AEXPR_OP and left.HasField("row_expr") and right.HasField("row_expr"):
        for one, other in zip(left.row_expr.args, right.row_expr.args, strict=False):
            yield one, other, _KINDS.get(operator, "other"), operator
    elif node.kind == pb.AEXPR_OP:
        kind = _KINDS.get(operator, "other")
        yield left, right, kind, operator
        if kind != "like":
            yield right, left, kind, _MIRRORED.get(operator, operator)
    else:
        yield left, right, "other", operator


def _operator(node: Any) -> str:
    return node.name[-1].string.sval if node.name else ""


def _is_constant(node: Any) -> bool:
    return not any(isinstance(part, pb.ParamRef | pb.ColumnRef | pb.SubLink) for part in _below(node))


def _starts_with_wildcard(node: Any, operator: str) -> bool:
    """Whether a LIKE pattern begins with a wildcard, or (ILIKE) any letter of it is one."""
    if operator == "~~*":
        return True
    while not node.HasField("a_const"):
        if node.HasField("type_cast"):
            node = node.type_cast.arg
        elif node.HasField("a_expr") and _operator(node.a_expr) == "||":
            node = node.a_expr.lexpr
        elif node.HasField("func_call") and node.func_call.args:
            node = node.func_call.args[0]
        else:
            return False
    return operator == "~~" and str(node.a_const.sval.sval).startswith(("%", "_"))


def _is_stepped(node: Any) -> bool:
    """Whether this is `a > x OR (a = x AND …)`, in either order."""
    if not node.HasField("bool_expr") or node.bool_expr.boolop != pb.OR_EXPR:
        return False
    branches = [list(conjuncts(branch)) for branch in node.bool_expr.args]
    steps = {plain(b[0].a_expr.lexpr) for b in branches if len(b) == 1 and _compares(b[0], ("<", ">"))}
    ties = {plain(part.a_expr.lexpr) for b in branches if len(b) > 1 for part in b if _compares(part, ("=",))}
    return bool(steps & ties)


def _compares(node: Any, operators: tuple[str, ...]) -> bool:
    fits = node.HasField("a_expr") and node.a_expr.kind == pb.AEXPR_OP and _operator(node.a_expr) in operators
    return bool(fits and node.a_expr.lexpr.HasField("column_ref"))


def _is_extreme(call: Any) -> bool:
    return call.funcname[-1].string.sval in ("min", "max")


def _is_zero(node: Any) -> bool:
    # Zero is what an unset number is, so the constant 0 has no value of its own in the tree.
    return bool(node.HasField("a_const") and not node.a_const.isnull and node.a_const.ival.ival == 0)


def _output(node: Any, select: Any) -> Any:
    """What `ORDER BY 2` or `ORDER BY alias` stands for."""
    targets = [target.res_target for target in select.target_list]
    if node.HasField("a_const") and 0 < node.a_const.ival.ival <= len(targets):
        return targets[node.a_const.ival.ival - 1].val
    fields = node.column_ref.fields
    if len(fields) == 1:
        return next((target.val for target in targets if target.name == fields[0].string.sval), node)
    return node


def _distance(node: Any) -> str | None:
    if node.HasField("a_expr") and node.a_expr.kind == pb.AEXPR_OP and _operator(node.a_expr) in DISTANCES:
        return _operator(node.a_expr)
    return None


def _vector_side(node: Any) -> Any:
    expression = node.a_expr
    return expression.rexpr if not _has_column(expression.lexpr) else expression.lexpr


def _has_column(node: Any) -> bool:
    return any(isinstance(part, pb.ColumnRef) for part in _below(node))
