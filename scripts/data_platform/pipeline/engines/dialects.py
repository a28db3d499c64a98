"""One SELECT of PostgreSQL in the words of DuckDB or Spark: typed, rewritten where they differ, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from data_platform.pipeline.engines.rules import RULES, SAME, TEXTS, Refusal, is_a
from data_platform.pipeline.engines.types import Engine

_BYTES = "bytes"
"""The mark of an expression that said COLLATE "C"."""
Tables = Mapping[str, Mapping[str, str]]
"""PostgreSQL's types by column, by the name that SQL knows a relation by."""


@dataclass(frozen=True)
class Objection:
    """What would give other rows. `line` is within the SQL, from 1."""

    what: str
    instead: str
    text: str
    line: int = 1


@dataclass(frozen=True)
class Written:
    """The SELECT for an engine; `sql` is empty where something is against it. `collated` is what agrees only with a
    database that orders texts by bytes.
    """

    sql: str
    objections: tuple[Objection, ...] = ()
    collated: tuple[Objection, ...] = ()


def write(sql: str, engine: Engine, tables: Tables) -> Written:
    """The SELECT for the engine over relations of these names."""
    try:
        tree = _typed(sql, tables)
    except (SqlglotError, ValueError) as error:
        first = str(error).splitlines()[0]
        return Written(
            "", (Objection(f"cannot be read without PostgreSQL: {first}", "simpler SQL", sql[:80]),)
        )
    _plain_order(tree)
    collated = tuple(dict.fromkeys(_collated(tree)))
    objections: list[Objection] = []
    tree = _ruled_tree(tree, engine, objections)
    if objections:
        return Written("", tuple(dict.fromkeys(objections)))
    try:
        text = tree.sql(engine, unsupported_level=ErrorLevel.RAISE, pretty=True)
        return Written(text, collated=collated)
    except SqlglotError as error:
        return Written("", (Objection(str(error).splitlines()[0], "another form", sql[:80]),))


def _typed(sql: str, tables: Tables) -> exp.Expr:
    schema = MappingSchema({name: dict(columns) for name, columns in tables.items()}, dialect="postgres")
    tree = parse_one(sql, read="postgres")
    for node in tree.find_all(exp.Select):
        if not node.expressions:  # EXISTS (SELECT FROM …), which only PostgreSQL reads
            node.select("1", copy=False)
    for ordered in list(tree.find_all(exp.Collate)):
        if ordered.expression.name == "C":  # as they are ordered there anyway
            ordered.this.meta[_BYTES] = True
            ordered.replace(ordered.this)
    for shown in tree.find_all(exp.TimeToStr):
        shown.meta["format"] = _postgres_format(shown)
    tree = qualify(tree, schema=schema, dialect="postgres", validate_qualify_columns=False)
    return annotate_types(tree, schema=schema, dialect="postgres")


def _postgres_format(node: exp.Expr) -> str:
    """sqlglot keeps formats as strftime's; the words that the rules know are turned back."""
    text = node.args["format"].name if node.args.get("format") is not None else ""
    for word, code in {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S"}.items():
        text = text.replace(code, word)
    return text


def _plain_order(tree: exp.Expr) -> None:
    """ORDER BY and DISTINCT ON say expressions: elsewhere a name there is the column's and not the result's."""
    for select in tree.find_all(exp.Select):
        distinct = select.args.get("distinct")
        if distinct is None or not distinct.args.get("on"):
            continue
        made = {one.alias: one.this for one in select.expressions if isinstance(one, exp.Alias)}
        for part in (distinct, select.args.get("order")):
            for column in list(part.find_all(exp.Column)) if part is not None else []:
                if not column.table and column.name in made:
                    column.replace(made[column.name].copy())


def _collated(tree: exp.Expr) -> Iterator[Objection]:
    """What the order of texts decides, but for those that say COLLATE."""
    for node in tree.walk():
        match node:
            case exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                asked = [node.this, node.expression]
            case exp.Between() | exp.Max() | exp.Min() | exp.Greatest() | exp.Least():
                asked = [node.this, *node.expressions]
            case exp.Ordered() if _is_deciding(node):
                asked = [node.this]
            case _:
                continue
        texts = any(is_a(one, TEXTS) and not isinstance(one, exp.Literal) for one in asked)
        if texts and not any(one.meta.get(_BYTES) for one in asked):
            text = "ORDER BY " * isinstance(node, exp.Ordered) + node.sql("postgres")
            yield Objection("texts are ordered by bytes there", 'COLLATE "C"', text[:120], _line(node))


def _is_deciding(ordered: exp.Expr) -> bool:
    """Whether the order says which rows there are, or what is in them."""
    order = ordered.parent
    above = order.parent if order is not None else None
    if not isinstance(above, exp.Select):
        return True
    distinct = above.args.get("distinct")
    on = distinct.args.get("on") if distinct is not None else None
    first = on is not None and ordered.this not in on.expressions  # of each key some row comes in any order
    return first or any(above.args.get(key) is not None for key in ("limit", "offset"))


def _line(node: exp.Expr) -> int:
    return next((one.meta["line"] for one in node.walk() if "line" in one.meta), 1)


def _ruled_tree(tree: exp.Expr, engine: Engine, objections: list[Objection]) -> exp.Expr:
    """From the leaves up, so that what a rule moves has been looked at already."""
    for node in reversed(list(tree.walk(bfs=False))):
        try:
            made = _ruled(node, engine)
        except Refusal as refusal:
            text = node.sql("postgres")[:120]
            objections.append(Objection(refusal.what, refusal.instead, text, _line(node)))
            continue
        if made is not node:
            made.type = node.type
            if node is tree:
                tree = made
            else:
                node.replace(made)
    return tree


def _ruled(node: exp.Expr, engine: Engine) -> exp.Expr:
    rule = RULES.get(type(node))
    if rule is not None:
        return rule(node, engine)
    if type(node) not in SAME:
        name = node.sql("postgres")[:60] if isinstance(node, exp.Func) else type(node).__name__
        raise Refusal(f"`{name}` was never compared", "what references/pipeline-engines.md lists")
    return node
