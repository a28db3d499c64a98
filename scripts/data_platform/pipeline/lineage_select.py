"""Column lineage of one SELECT (sqlglot), over what is known of the columns before it.

What cannot be told is said of the column, or of the whole relation, and is never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify

from data_platform.spec.pipeline import Pipeline

How = Literal["identity", "transformation", "aggregation"]
_RANK: Sequence[How] = ("identity", "transformation", "aggregation")
DIALECT = "postgres"


@dataclass(frozen=True)
class Origin:
    """A column that a value comes from: of a source, or of a table of the store that SQL looks things up in."""

    relation: str
    column: str
    how: How
    in_store: bool = False


@dataclass(frozen=True)
class Column:
    """A column with where it comes from. `expressions` are those on the way, the first one first."""

    name: str
    origins: tuple[Origin, ...] = ()
    expressions: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """All columns of a relation; `whole` is False where there may be more, and `unresolved` says why."""

    columns: tuple[Column, ...]
    unresolved: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.unresolved


@dataclass(frozen=True)
class TargetLineage:
    """A target, and the lineage of its columns."""

    table: str
    source: str
    columns: tuple[Column, ...]
    unresolved: tuple[str, ...]


def of_sources(spec: Pipeline) -> dict[str, Columns]:
    """The sources' columns, each of which comes from itself."""
    found = {}
    for source in spec.sources:
        columns = tuple(Column(name, (Origin(source.name, name, "identity"),)) for name in source.columns)
        said = () if columns else (f"the columns of `{source.name}` are known only where it is read",)
        found[source.name] = Columns(columns, said)
    return found


def of_select(relation: str, sql: str, known: Mapping[str, Columns]) -> Columns:
    """The columns of a relation that a query makes of `known` ones, by name; others are tables of the store."""
    # To the optimizer a column's type says nothing here; that it is there does.
    schema: dict[str, object] = {
        name: {column.name: "text" for column in columns.columns}
        for name, columns in known.items()
        if columns.whole
    }
    try:
        tree = _with_whole_windows(_with_whole_names(sqlglot.parse_one(sql, dialect=DIALECT)))
        qualified = qualify(
            tree, dialect=DIALECT, schema=schema, validate_qualify_columns=False, identify=False
        )
        if not isinstance(qualified, exp.Query):
            return Columns((), (f"`{relation}` cannot be looked into: it is no SELECT",))
        names = qualified.named_selects
        columns = [
            _column(relation, name, lineage(name, qualified.copy(), schema=schema, dialect=DIALECT), known)
            for name in names
            if name != "*"
        ]
    except (SqlglotError, ValueError, AssertionError, KeyError, RecursionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Columns((), (f"`{relation}` cannot be looked into: {first}",))
    return Columns(tuple(columns), tuple(_stars(relation, qualified, names, known)))


def _with_whole_names(tree: Any) -> Any:
    """The tree, where a table of a schema is one name: `public.orders` is not the source `orders`."""
    for table in list(tree.find_all(exp.Table)):
        if table.args.get("db") is not None:
            whole = ".".join(part.name for part in table.parts)
            alias = table.alias_or_name
            table.set("this", exp.to_identifier(whole, quoted=True))
            table.set("db", None)
            table.set("catalog", None)
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return tree


def _strays(root: Node) -> Iterator[str]:
    """What a column is made of and nothing is told of: a whole row, and of what has no relation at all everything."""
    kinds = (exp.TableColumn,) if root.downstream else (exp.TableColumn, exp.Column)
    for one in root.expression.find_all(*kinds):
        yield one.sql(DIALECT)


def _with_whole_windows(tree: Any) -> Any:
    """The tree, where each use of a window by its name says what the window is made of."""
    for select in tree.find_all(exp.Select):
        named: dict[str, exp.Expr] = {}
        for window in select.args.get("windows") or ():
            _fill(window, named)
            named[window.name] = window
        for window in select.find_all(exp.Window):
            if window.parent is not select and window.parent_select is select:
                _fill(window, named)
    return tree


def _fill(window: exp.Expr, named: Mapping[str, exp.Expr]) -> None:
    """What a window takes over from the one that it is named by."""
    base = named.get(window.text("alias"))
    if base is None:
        return
    for part in ("partition_by", "order"):
        if not window.args.get(part) and base.args.get(part):
            found = base.args[part]
            window.set(part, [one.copy() for one in found] if isinstance(found, list) else found.copy())


def _stars(name: str, tree: exp.Query, names: Sequence[str], known: Mapping[str, Columns]) -> Iterator[str]:
    if "*" not in names:
        return
    read = {table.name for table in tree.find_all(exp.Table)}
    open_ = sorted(one for one in read if one not in known or not known[one].whole)
    yield f"`{name}` takes * of relations whose columns are not known here: {', '.join(open_) or 'some'}"


def _column(relation: str, name: str, root: Node, known: Mapping[str, Columns]) -> Column:
    origins: dict[tuple[str, str], Origin] = {}
    expressions: dict[str, None] = {}
    unresolved: dict[str, None] = {}
    before: dict[str, None] = {}
    for leaf, path in _leaves(root, ()):
        how = strongest(how_of(node.expression) for node in path)
        for node in reversed(path):
            if how_of(node.expression) != "identity":
                expressions[f"{relation}: {_bare(node.expression).sql(DIALECT)}"] = None
        told = _origin(leaf, known) if leaf is not root or root.downstream else None
        if isinstance(told, str):
            unresolved[told] = None
        elif told is not None:
            for one in told.origins:
                now = replace(one, how=strongest((one.how, how)))
                old = origins.get((one.relation, one.column))
                origins[one.relation, one.column] = (
                    now if old is None else replace(now, how=strongest((old.how, now.how)))
                )
            before |= dict.fromkeys(told.expressions)
            unresolved |= dict.fromkeys(told.unresolved)
    for stray in _strays(root):
        unresolved[f"`{stray}` is of no relation that can be told from the SQL"] = None
    return Column(name, tuple(origins.values()), (*before, *expressions), tuple(unresolved))


def _leaves(node: Node, path: tuple[Node, ...]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Where columns come in, each with the nodes on the way there."""
    if not node.downstream:
        yield node, path if isinstance(node.source, exp.Table | exp.Placeholder) else (*path, node)
    for one in node.downstream:
        yield from _leaves(one, (*path, node))


def _origin(leaf: Node, known: Mapping[str, Columns]) -> Column | str | None:
    """What a leaf is; None for a constant, a text for what cannot be told."""
    if isinstance(leaf.source, exp.Query):
        return None
    column = exp.to_column(leaf.name, dialect=DIALECT).name
    if not isinstance(leaf.source, exp.Table) or not isinstance(leaf.source.this, exp.Identifier):
        return f"`{column}` is of no relation that can be told from the SQL"
    table = leaf.source.name
    if column == "*":
        return f"* of `{table}`, whose columns are not known here"
    if table not in known:
        return Column(column, (Origin(table, column, "identity", in_store=True),))
    found = next((one for one in known[table].columns if one.name == column), None)
    if found is not None:
        return found
    if known[table].unresolved and not known[table].columns:
        is_source = not known[table].unresolved[0].startswith(f"`{table}`")
        if is_source:
            return Column(column, (Origin(table, column, "identity"),))
    return f"`{table}` has no column `{column}` that is known here"


def _bare(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Alias) else node


def how_of(node: exp.Expr) -> How:
    bare = _bare(node)
    if isinstance(bare, exp.Column | exp.Query | exp.Table | exp.Star):
        return "identity"
    return "aggregation" if bare.find(exp.AggFunc) else "transformation"


def strongest(ways: Any) -> How:
    return max(ways, key=_RANK.index, default="identity")
