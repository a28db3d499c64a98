"""What agrees with PostgreSQL on DuckDB and Spark, what is written otherwise there, and what is refused.

The trees are sqlglot's, typed with the spec's schema. A kind of node that is in neither list is refused: what nobody
has compared is not trusted. `references/pipeline-engines.md` shows what came of it, by statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from data_platform.pipeline.engines.types import Engine


@dataclass(frozen=True)
class Refusal(Exception):
    """What gives other rows, or none, and a form that agrees."""

    what: str
    instead: str


Rule = Callable[[exp.Expr, Engine], exp.Expr]
"""The node as the engine is to read it, or a Refusal."""

SAME: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.Select, exp.From, exp.Join, exp.Where, exp.Having, exp.Order, exp.Ordered, exp.Subquery,
        exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean,
        exp.Star, exp.Paren, exp.With, exp.CTE, exp.Tuple, exp.Lateral, exp.DataType, exp.DataTypeParam,
        exp.Union, exp.Except, exp.Intersect, exp.Limit, exp.Window, exp.WindowSpec, exp.Filter,
        exp.Group, exp.Distinct, exp.GroupingSets, exp.Cube, exp.Rollup, exp.Exists, exp.Any, exp.Array,
        exp.Values, exp.Var,
        exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between,
        exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least,
        exp.Neg, exp.Mod, exp.Abs, exp.Ceil, exp.Floor, exp.Sign, exp.Pow, exp.Sqrt, exp.Exp, exp.Ln,
        exp.Length, exp.Replace, exp.SplitPart,
        exp.StrPosition, exp.Pad, exp.MD5, exp.Max, exp.Min, exp.Count, exp.LogicalAnd, exp.LogicalOr,
        exp.StddevSamp, exp.StddevPop, exp.Stddev, exp.Variance, exp.VariancePop, exp.RowNumber, exp.Rank,
        exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue,
        exp.PercentileCont, exp.Interval, exp.JSONPath, exp.JSONPathKey,
        exp.JSONPathRoot, exp.Mul, exp.Sum,
    }
)  # fmt: skip
"""Kinds of nodes that were compared and agree as sqlglot writes them."""

INTEGERS = (exp.DataType.Type.SMALLINT, exp.DataType.Type.INT, exp.DataType.Type.BIGINT)
DECIMALS = (exp.DataType.Type.DECIMAL,)
FLOATS = (exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE)
TEXTS = (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR)
TIMES = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ)
DATE = (exp.DataType.Type.DATE,)
_SAFE_PATTERN = re.compile(r"[\w \-^$.\[\]+*?|()@#,:;/=<>!%&~']*\Z", re.ASCII)
_GROWING = "".join(chr(one) for one in range(0x80, 0x10000) if len(chr(one).upper()) > 1)
"""Letters whose capital is written with several; each is put aside as a letter of private use."""
_ASIDE = "".join(chr(0xE000 + number) for number in range(len(_GROWING)))
_GROWN = "".join(one.title() if len(one.title()) == 1 else one for one in _GROWING)
_FORMAT = re.compile(r"(YYYY|MM|DD|HH24|MI|SS|[-/:. ])+\Z")
_PARTS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY", "HOUR", "MINUTE", "DOW", "ISODOW")
_TRUNCATED = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")


def is_a(node: exp.Expr | None, kinds: tuple[Any, ...]) -> bool:
    """Whether the expression is known to be of one of these types."""
    return node is not None and node.type is not None and node.is_type(*kinds)


def _is_float(node: exp.Expr) -> bool:
    """A constant such as 0.5 is numeric in PostgreSQL, whatever sqlglot thinks of it."""
    return is_a(node, FLOATS) and not isinstance(node.unnest(), exp.Literal)


def _cast(node: exp.Expr, to: str) -> exp.Expr:
    return exp.Cast(this=node.copy(), to=exp.DataType.build(to))


def _call(name: str, *arguments: exp.Expr | str | int) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[exp.convert(one) for one in arguments])


def _division(node: exp.Expr, engine: Engine) -> exp.Expr:
    if is_a(node.this, INTEGERS) and is_a(node.expression, INTEGERS):
        left, right = exp.paren(node.this.copy()), exp.paren(node.expression.copy())
        return exp.paren(exp.IntDiv(this=left, expression=right))
    if _is_float(node.this) or _is_float(node.expression):
        return node
    raise Refusal(
        "numeric divided has other digits there", "a::double precision / b, and rounding where it is shown"
    )


def _average(node: exp.Expr, engine: Engine) -> exp.Expr:
    if _is_float(node.this):
        return node
    raise Refusal("the mean of numeric or integer has other digits there", "avg(x::double precision)")


def _round(node: exp.Expr, engine: Engine) -> exp.Expr:
    if not _is_float(node.this):
        return node
    if node.args.get("decimals") is not None:
        raise Refusal(
            "digits of a double are rounded otherwise there", "round(x) of a double, or a numeric(p, s)"
        )
    # PostgreSQL rounds halves of a double to the even neighbour.
    return _call("ROUND_EVEN" if engine == "duckdb" else "BROUND", node.this.copy(), 0)


def _truncated(node: exp.Expr, engine: Engine) -> exp.Expr:
    if node.args.get("decimals") is not None:
        raise Refusal("trunc with digits is not there, or cuts otherwise", "trunc(x * 10) * 0.1")
    return node


def _to(node: exp.Expr, engine: Engine) -> exp.Expr:
    given, to = node.this, node.args["to"]
    if to.is_type("varchar", "char", "bpchar", "nchar") and to.expressions:
        raise Refusal("a cast to a text of so many letters cuts it here and not there", "left(x, n)")
    if to.is_type("decimal") and not to.expressions:
        raise Refusal("numeric without digits has no like there", "numeric(38, 10), or as many as are needed")
    if to.is_type("interval", "time", "timetz", "money", "bytea", "json", "jsonb"):
        raise Refusal(
            f"{to.sql('postgres').lower()} is another thing there", "text, a number, a date or a timestamp"
        )
    if isinstance(given, exp.Literal | exp.Null):
        return node
    if is_a(given, TEXTS) and not to.is_type("text", "varchar"):
        raise Refusal("what of a text is a value of this type is decided otherwise there",
                      "the type in the source's columns:, where each engine reads it as declared")  # fmt: skip
    if is_a(given, FLOATS) and to.is_type("text", "varchar", "decimal"):
        raise Refusal("a double becomes other digits there", "numeric(p, s) in the source's columns:")
    if is_a(given, TIMES) and to.is_type("text", "varchar"):
        raise Refusal("a time is written otherwise there", "to_char(x, 'YYYY-MM-DD HH24:MI:SS')")
    if to.is_type("smallint", "int", "bigint") and engine == "spark":
        if is_a(given, FLOATS):
            return exp.Cast(this=_call("BROUND", given.copy(), 0), to=to.copy())
        if is_a(given, DECIMALS):
            return exp.Cast(this=_call("ROUND", given.copy(), 0), to=to.copy())
    return node


def _upper(node: exp.Expr, engine: Engine) -> exp.Expr:
    # Java makes SS of ß and FI of ﬁ, DuckDB ẞ; PostgreSQL leaves them, and gives each letter one letter.
    if engine == "spark":
        aside = _call("TRANSLATE", node.this.copy(), _GROWING, _ASIDE)
        return _call("TRANSLATE", _call("UPPER", aside), _ASIDE, _GROWN)
    aside = _call("REPLACE", node.this.copy(), "ß", "\u0001")
    return _call("REPLACE", _call("UPPER", aside), "\u0001", "ß")


def _lower(node: exp.Expr, engine: Engine) -> exp.Expr:
    """Java makes ς of a Σ that ends a word; PostgreSQL looks at each letter alone."""
    return _call("LOWER", _call("REPLACE", node.this.copy(), "Σ", "σ")) if engine == "spark" else node


def _trim(node: exp.Expr, engine: Engine) -> exp.Expr:
    """Spaces alone, as PostgreSQL: DuckDB takes every kind of space, such as U+00A0, where none is named."""
    if engine == "duckdb" and node.args.get("expression") is None:
        node.set("expression", exp.Literal.string(" "))
    return node


def _reversed(node: exp.Expr, engine: Engine) -> exp.Expr:
    if engine == "duckdb":
        raise Refusal(
            "a letter and the accent after it stay together there",
            "the reversed text as a column of the source",
        )
    return node


def _collate(node: exp.Expr, engine: Engine) -> exp.Expr:
    raise Refusal("texts are ordered by bytes there", 'COLLATE "C"')


def _joined(node: exp.Expr, engine: Engine) -> exp.Expr:
    """|| of a text and something else: what else it is, is said."""
    parts = [one if is_a(one, TEXTS) or isinstance(one, exp.Literal) else _texted(one, engine)
             for one in (node.this, node.expression)]  # fmt: skip
    return exp.DPipe(this=parts[0].copy(), expression=parts[1].copy(), safe=True)


def _texted(node: exp.Expr, engine: Engine) -> exp.Expr:
    if isinstance(node, exp.DPipe | exp.Paren | exp.Case | exp.Coalesce):
        return node
    if not is_a(node, (*INTEGERS, *DATE, exp.DataType.Type.BOOLEAN, *DECIMALS)):
        raise Refusal("this is written otherwise as text there", "to_char, or a column of type text")
    return _cast(node, "text")


def _concat(node: exp.Expr, engine: Engine) -> exp.Expr:
    parts = [
        one.copy() if is_a(one, TEXTS) or isinstance(one, exp.Literal) else _texted(one, engine).copy()
        for one in (part.this if isinstance(part, exp.Coalesce) else part for part in node.expressions)
    ]
    if engine == "duckdb":
        return _call("CONCAT", *parts)
    return _call("CONCAT", *(exp.Coalesce(this=one, expressions=[exp.Literal.string("")]) for one in parts))


def _like(node: exp.Expr, engine: Engine) -> exp.Expr:
    pattern = node.expression
    if not pattern.is_string or "\\" in pattern.name:
        raise Refusal("a backslash in a pattern means another thing there", "a constant pattern without one")
    return node


def _pattern(node: exp.Expr, engine: Engine) -> exp.Expr:
    """The same language for all three: (?s), for PostgreSQL's dot matches a line's end, and the very end for $."""
    if not node.is_string or not _SAFE_PATTERN.match(node.name) or "(?" in node.name:
        raise Refusal("this regular expression is read otherwise there",
                      "a constant of letters, . ^ $ [ ] + * ? | ( )")  # fmt: skip
    return exp.Literal.string("(?s)" + node.name.replace("$", r"\z"))


def _matches(node: exp.Expr, engine: Engine) -> exp.Expr:
    if isinstance(node, exp.RegexpILike) or node.args.get("flag"):
        raise Refusal("matching without case is otherwise there", "lower(x) ~ pattern")
    name = "REGEXP_MATCHES" if engine == "duckdb" else "REGEXP_LIKE"
    return _call(name, node.this.copy(), _pattern(node.expression, engine))


def _regexp_replaced(node: exp.Expr, engine: Engine) -> exp.Expr:
    with_ = node.args.get("replacement")
    flags = node.args.get("modifiers")
    if with_ is None or not with_.is_string or set("\\$") & set(with_.name):
        raise Refusal("\\ and $ in a replacement mean another thing there", "a constant without them")
    if flags is None or flags.name != "g":
        raise Refusal("only the first is replaced here, and all of them there", "the flag 'g'")
    pattern = _pattern(node.expression, engine)
    arguments = [node.this.copy(), pattern, with_.copy()]
    return _call("REGEXP_REPLACE", *arguments, *(["g"] if engine == "duckdb" else []))


def _minus(node: exp.Expr, engine: Engine) -> exp.Expr:
    times = is_a(node.this, TIMES) or (is_a(node.this, DATE) and is_a(node.expression, TIMES))
    if times and not isinstance(node.expression, exp.Interval):
        raise Refusal(
            "the difference of two times is an interval, which is another thing there", "x::date - y::date"
        )
    if is_a(node.this, DATE) and is_a(node.expression, DATE) and engine == "spark":
        return _call("DATEDIFF", node.this.copy(), node.expression.copy())
    return _interval(node)


def _interval(node: exp.Expr) -> exp.Expr:
    """A date and an interval make a timestamp here, and on Spark a date; days, months and years of a time agree."""
    for one in (node.this, node.expression):
        if isinstance(one, exp.Interval) and not (one.this.is_string and one.this.name.isdigit()):
            raise Refusal("such an interval is read otherwise there", "interval '1 month', one unit")
    return node


def _plus(node: exp.Expr, engine: Engine) -> exp.Expr:
    return _interval(node)


def _aggregated(node: exp.Expr, engine: Engine) -> exp.Expr:
    if not isinstance(_ordered_by(node), exp.Order):
        raise Refusal("in no order the result is another one each time", "string_agg(x, ',' ORDER BY y)")
    if isinstance(node, exp.ArrayAgg) and engine == "spark":
        raise Refusal("the order within array_agg is lost there", "string_agg(x, ',' ORDER BY y)")
    return node


def _ordered_by(node: exp.Expr) -> exp.Expr | None:
    inside: exp.Expr | None = node.this
    if isinstance(inside, exp.Distinct):
        inside = next(iter(inside.expressions), None)
    return inside if isinstance(inside, exp.Order) else next(iter(node.find_all(exp.Order)), None)


def _first_letters(node: exp.Expr, engine: Engine) -> exp.Expr:
    if engine == "spark" and not _at_least(node.expression, 0):
        raise Refusal("below zero PostgreSQL counts from the other end", "a constant number of letters")
    return node


def _substring(node: exp.Expr, engine: Engine) -> exp.Expr:
    if engine == "spark" and not _at_least(node.args.get("start"), 1):
        raise Refusal(
            "PostgreSQL counts from before the text where the start is below 1", "a constant start from 1"
        )
    return node


def _at_least(node: exp.Expr | None, least: int) -> bool:
    return (
        isinstance(node, exp.Literal)
        and not node.is_string
        and node.this.isdigit()
        and int(node.this) >= least
    )


def _extract(node: exp.Expr, engine: Engine) -> exp.Expr:
    part = node.this.name.upper()
    part = "DOW" if part in ("DAYOFWEEK", "DAY_OF_WEEK") else part
    if part not in _PARTS:
        raise Refusal(f"{part.lower()} has other values there", ", ".join(one.lower() for one in _PARTS))
    if engine == "spark" and part in ("DOW", "ISODOW"):
        found = exp.Extract(this=exp.var("DAYOFWEEK" if part == "DOW" else "DAYOFWEEK_ISO"),
                            expression=node.expression.copy())  # fmt: skip
        return exp.paren(exp.Sub(this=found, expression=exp.Literal.number(1))) if part == "DOW" else found
    return node


def _date_trunc(node: exp.Expr, engine: Engine) -> exp.Expr:
    unit = node.args["unit"].name.upper()
    if unit not in _TRUNCATED:
        raise Refusal(f"date_trunc of {unit.lower()} is otherwise there", ", ".join(_TRUNCATED).lower())
    if isinstance(node, exp.TimestampTrunc) and node.args.get("zone"):
        raise Refusal("a time zone in date_trunc is another thing there", "date_trunc of a time in UTC")
    made = _call("DATE_TRUNC", unit, node.this.copy())
    if engine == "spark" and is_a(node.this, (exp.DataType.Type.TIMESTAMP,)):
        # Spark gives a time with a zone, whatever it was given.
        return exp.Cast(this=made, to=exp.DataType(this=exp.DataType.Type.TIMESTAMPNTZ))
    return made


def _to_char(node: exp.Expr, engine: Engine) -> exp.Expr:
    wanted = node.args.get("format")
    text = node.meta.get("format", wanted.name if wanted is not None else "")
    if not is_a(node.this, (*TIMES, *DATE)) or not _FORMAT.match(text):
        raise Refusal(
            "this format is read otherwise there", "to_char(date, 'YYYY-MM-DD HH24:MI:SS'), or parts of it"
        )
    python = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S"}
    java = {"YYYY": "yyyy", "MM": "MM", "DD": "dd", "HH24": "HH", "MI": "mm", "SS": "ss"}
    words = python if engine == "duckdb" else java
    written = re.sub("YYYY|MM|DD|HH24|MI|SS", lambda found: words[found[0]], text)
    return _call("STRFTIME" if engine == "duckdb" else "DATE_FORMAT", node.this.copy(), written)


def _unnested(node: exp.Expr, engine: Engine) -> exp.Expr:
    if node.args.get("offset"):
        raise Refusal("WITH ORDINALITY counts from another number there, or is not there",
                      "the position as a column of the source")  # fmt: skip
    return node


def _within(node: exp.Expr, engine: Engine) -> exp.Expr:
    """sqlglot makes an approximation of percentile_cont; Spark's percentile is exact, and the same."""
    order = node.expression.expressions
    if not isinstance(node.this, exp.PercentileCont) or len(order) != 1 or order[0].args.get("desc"):
        raise Refusal(
            "this aggregate in an order is another one there",
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY x)",
        )
    if engine == "spark":
        return _call("PERCENTILE", order[0].this.copy(), node.this.this.copy())
    return node


def _never(what: str, instead: str) -> Rule:
    def refuse(node: exp.Expr, engine: Engine) -> exp.Expr:
        raise Refusal(what, instead)

    return refuse


RULES: Mapping[type[exp.Expr], Rule] = {
    exp.Collate: _collate,
    exp.Div: _division,
    exp.Avg: _average,
    exp.Round: _round,
    exp.Trunc: _truncated,
    exp.Cast: _to,
    exp.Upper: _upper,
    exp.Lower: _lower,
    exp.Trim: _trim,
    exp.Left: _first_letters,
    exp.Right: _first_letters,
    exp.Substring: _substring,
    exp.Reverse: _reversed,
    exp.DPipe: _joined,
    exp.Concat: _concat,
    exp.Like: _like,
    exp.ILike: _like,
    exp.RegexpLike: _matches,
    exp.RegexpILike: _matches,
    exp.RegexpReplace: _regexp_replaced,
    exp.Sub: _minus,
    exp.Add: _plus,
    exp.GroupConcat: _aggregated,
    exp.ArrayAgg: _aggregated,
    exp.Extract: _extract,
    exp.TimestampTrunc: _date_trunc,
    exp.DateTrunc: _date_trunc,
    exp.TimeToStr: _to_char,
    exp.ToChar: _to_char,
    exp.Unnest: _unnested,
    exp.GenerateSeries: _never("generate_series is another thing there", "a source that has the numbers"),
    exp.ExplodingGenerateSeries: _never(
        "generate_series is another thing there", "a source that has the numbers"
    ),
    exp.WithinGroup: _within,
    exp.CurrentTimestamp: _never("the time of a run is another one each time", "a column of the source"),
    exp.CurrentDate: _never("the day of a run is another one each time", "a column of the source"),
    exp.JSONExtractScalar: _never(
        "an object within JSON is written otherwise there", "the field as a column of the source"
    ),
    exp.JSONExtract: _never("JSON is written otherwise there", "the field as a column of the source"),
}
"""What is looked at, by the kind of node; each gives the node as it is, another one, or refuses."""
