"""What the columns of a table hold, by scans: figures of each, then values with how often they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_platform.postgres.quality.asking import Session, Table, one_row, rows_of
from data_platform.sql.text import Sql, identifier, joined, phrase

NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
TIMES = frozenset(
    {"date", "timestamp without time zone", "timestamp with time zone", "time without time zone"}
)
TEXTS = frozenset({"text", "character varying", "character", "citext"})
_NO_EQUALITY = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})
_SAMPLED_KINDS = "SELECT relkind IN ('r', 'p', 'm') FROM pg_class WHERE oid = to_regclass(%s)"
_AT_ONCE = 16
"""Columns whose values are counted in one scan: the most that fit into what GROUPING tells them apart by is 31."""
_TOP = 5
_SHAPES_OF = 10_000
LONGEST = 100
"""Characters of a common value that are kept."""
SHAPED = 200
"""Characters of a value that its shape is of."""


@dataclass(frozen=True)
class Column:
    """A column: figures over the rows that were read. `formats` counts values by format, `top` the commonest values.

    `shapes` are those of the first values, with how often they are there: A, a and 9 for ASCII letters and digits.
    """

    name: str
    type: str
    required: bool
    nulls: int
    least: str | None = None
    greatest: str | None = None
    lengths: tuple[int, int, float] | None = None
    formats: Mapping[str, int] = field(default_factory=dict)
    distinct: int | None = None
    top: tuple[tuple[str, int], ...] = ()
    shapes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Profile:
    """Of a table. `rows` were read, from `source`; `share` of the table is less than 1 where they are a sample."""

    table: Table
    source: Sql
    rows: int
    share: float
    columns: tuple[Column, ...]


def can_be_sampled(session: Session, table: Table) -> bool:
    """Whether it is a table or materialized view and no view."""
    return bool(one_row_of(session, _SAMPLED_KINDS, table.name))


def one_row_of(session: Session, query: str, name: Sql) -> Any:
    row = session.execute(query.encode(), [name]).fetchone()
    return row[0] if row else None


def profile(session: Session, table: Table, formats: Mapping[str, Sql], share: float) -> Profile:
    """Read the table, or this share of its blocks. `formats` are conditions over `{v}`, a text."""
    sample = Sql("") if share >= 1 else Sql(f" TABLESAMPLE SYSTEM ({share * 100:.6f}) REPEATABLE (1)")
    source = phrase("{table} AS r{sample}", table=table.name, sample=sample)
    columns = table.relation.columns
    wanted = {name: list(_figures(name, type_, formats)) for name, type_ in columns.items()}
    query = phrase(
        "SELECT count(*), {figures} FROM {source}",
        figures=joined(", ", [sql for own in wanted.values() for _, sql in own] or [Sql("1")]),
        source=source,
    )
    rows, *values = one_row(session, query)
    figures: dict[str, dict[str, Any]] = {}
    taken = iter(values)
    for name, own in wanted.items():
        figures[name] = {key: next(taken) for key, _ in own}
    counted = _counted(
        session, source, [n for n, type_ in columns.items() if _base(type_) not in _NO_EQUALITY]
    )
    return Profile(
        table,
        source,
        rows,
        share,
        tuple(
            _column(session, source, table, name, rows, figures[name], counted.get(name)) for name in columns
        ),
    )


def _base(type_: str) -> str:
    head, _, rest = type_.partition("(")
    return (head + rest.partition(")")[2]).strip()


def _figures(name: str, type_: str, formats: Mapping[str, Sql]) -> Iterator[tuple[str, Sql]]:
    value = Sql(f"r.{identifier(name)}")
    yield "filled", Sql(f"count({value})")
    base = _base(type_)
    if base in NUMBERS | TIMES:
        yield "least", Sql(f"min({value})::text")
        yield "greatest", Sql(f"max({value})::text")
    if base in TEXTS:
        length = Sql(f"char_length({value})")
        yield "shortest", Sql(f"min({length})")
        yield "longest", Sql(f"max({length})")
        yield "length", Sql(f"avg({length})::float8")
        for format_, condition in formats.items():
            found = phrase(condition, v=Sql(f"{value}::text"))
            yield f"is {format_}", Sql(f"count(*) FILTER (WHERE {found})")


def _counted(
    session: Session, source: Sql, names: Sequence[str]
) -> dict[str, tuple[int, tuple[tuple[str, int], ...]]]:
    """By column how many values there are, and the commonest of them."""
    found: dict[str, tuple[int, tuple[tuple[str, int], ...]]] = {}
    for start in range(0, len(names), _AT_ONCE):
        block = names[start : start + _AT_ONCE]
        quoted = [Sql(f"r.{identifier(name)}") for name in block]
        masks = [(1 << len(block)) - 1 - (1 << (len(block) - 1 - number)) for number in range(len(block))]
        number = Sql(f"GROUPING({', '.join(quoted)})")
        cases = [
            Sql(f"WHEN {mask} THEN left({value}::text, {LONGEST})")
            for mask, value in zip(masks, quoted, strict=True)
        ]
        query = phrase(
            "SELECT c.g, c.d, c.v, c.n FROM (SELECT g.*, count(*) OVER (PARTITION BY g.g) AS d,"
            " row_number() OVER (PARTITION BY g.g ORDER BY g.n DESC, g.v) AS k FROM (SELECT {number} AS g,"
            " CASE {number} {cases} END AS v, count(*) AS n FROM {source}"
            " GROUP BY GROUPING SETS ({sets})) g WHERE g.v IS NOT NULL) c"
            " WHERE c.k <= {top} ORDER BY c.g, c.k",
            number=number,
            cases=joined(" ", cases),
            source=source,
            sets=joined(", ", [Sql(f"({value})") for value in quoted]),
            top=_TOP,
        )
        by_mask = dict(zip(masks, block, strict=True))
        for mask, distinct, value, times in rows_of(session, query):
            name = by_mask[mask]
            found[name] = (distinct, (*found.get(name, (0, ()))[1], (value, times)))
    return found


def _column(
    session: Session,
    source: Sql,
    table: Table,
    name: str,
    rows: int,
    figures: Mapping[str, Any],
    counted: tuple[int, tuple[tuple[str, int], ...]] | None,
) -> Column:
    type_ = table.relation.columns[name]
    filled = figures["filled"]
    comparable = _base(type_) not in _NO_EQUALITY
    lengths = None
    if figures.get("longest") is not None:
        lengths = (figures["shortest"], figures["longest"], figures["length"])
    return Column(
        name=name,
        type=type_,
        required=name in table.relation.required,
        nulls=rows - filled,
        least=figures.get("least"),
        greatest=figures.get("greatest"),
        lengths=lengths,
        formats={key[3:]: value for key, value in figures.items() if key.startswith("is ") and value},
        distinct=(counted[0] if counted else 0) if comparable else None,
        top=counted[1] if counted else (),
        shapes=_shapes(session, source, name) if lengths else (),
    )


def _shapes(session: Session, source: Sql, name: str) -> tuple[tuple[str, int], ...]:
    query = phrase(
        "SELECT s.shape, count(*) FROM (SELECT regexp_replace(regexp_replace(regexp_replace("
        "left(v.v::text, {longest}), '[A-Z]', 'A', 'g'), '[a-z]', 'a', 'g'), '[0-9]', '9', 'g') AS shape"
        " FROM (SELECT r.{name} AS v FROM {source} WHERE r.{name} IS NOT NULL"
        " LIMIT {most}) v) s GROUP BY 1",
        name=identifier(name),
        source=source,
        most=_SHAPES_OF,
        longest=SHAPED,
    )
    return tuple((shape, count) for shape, count in rows_of(session, query))
