"""What a stage says, once a key and time: the first step of every merge, as the temporary table `_dpe_net`."""

from __future__ import annotations

from data_platform.pipeline.history.dimension import FROM, TO, VALID, Dimension, distinct, of_table, same_key
from data_platform.sql.text import Sql, columns_of, identifier, identifiers, phrase, qualified_name

NET = Sql("pg_temp._dpe_net")
NEWS = Sql("pg_temp._dpe_news")
PLAN = Sql("pg_temp._dpe_plan")
CLEAN = Sql(f"DROP TABLE IF EXISTS {NET}, {NEWS}, {PLAN}")
"""Before a merge: another one of the same transaction may have left them."""


def net(dimension: Dimension, stage: Sql, at: Sql, order: str) -> Sql:
    """The rows of the stage; of those of one key and time the last by `order`. A tombstone has no attributes."""
    gone = tombstone(dimension)
    attributes = [
        f"CASE WHEN NOT {gone} THEN s.{identifier(name)} END AS {identifier(name)}"
        for name in dimension.attributes
    ]
    time = time_of(dimension, at)
    told = f"{columns_of('s', dimension.key)}" + (f", {time}" if dimension.effective else "")
    return phrase(
        "CREATE TEMP TABLE _dpe_net ON COMMIT DROP AS SELECT DISTINCT ON ({told}) {columns}, {time} AS _dpe_at,"
        " {gone} AS _dpe_gone, 'staged' AS _dpe_origin FROM {stage} AS s ORDER BY {told}, s.{order} DESC",
        told=Sql(told),
        columns=Sql(", ".join([str(columns_of("s", dimension.key)), *attributes])),
        time=time,
        gone=gone,
        stage=stage,
        order=identifier(order),
    )


def time_of(dimension: Dimension, at: Sql) -> Sql:
    """From when a row of the stage holds."""
    given = Sql(f"s.{identifier(dimension.effective)}") if dimension.effective else Sql(f"({at})")
    return Sql(f"{given}::{dimension.time}")


def tombstone(dimension: Dimension) -> Sql:
    """Whether a row of the stage says that its key is gone."""
    return Sql(f"coalesce(s.{identifier(dimension.tombstone)}, false)" if dimension.tombstone else "false")


def whole_snapshot(dimension: Dimension, at: Sql) -> tuple[Sql, ...]:
    """Keys that hold at `at` and are not in the stage are gone from then on; one that is there again holds again."""
    if not dimension.missing:
        return ()
    time = Sql(f"({at})::{dimension.time}")
    gone = phrase(
        "INSERT INTO {net} ({key}, _dpe_at, _dpe_gone, _dpe_origin)"
        " SELECT {v_key}, {time}, true, 'absent' FROM {table} AS v"
        " WHERE {holds} AND NOT EXISTS (SELECT FROM {net} AS n WHERE {same})",
        net=NET,
        key=identifiers(dimension.key),
        v_key=columns_of("v", dimension.key),
        time=time,
        table=of_table(dimension),
        holds=holds(dimension, time),
        same=same_key(dimension, "n", "v"),
    )
    again = (_again(dimension, time),) if dimension.effective and dimension.type != 1 else ()
    return (Sql(f"ANALYZE {NET}"), gone, *again)


def news(dimension: Dimension) -> tuple[Sql, ...]:
    """`_dpe_news`: of a whole snapshot only what the table does not say already, which is most often little."""
    if not looks_for_news(dimension):
        return ()
    when = (
        "v.valid_from = n._dpe_at"
        if dimension.remembers
        else "v.valid_from <= n._dpe_at AND v.valid_to IS NULL"
    )
    return (
        phrase(
            "CREATE TEMP TABLE _dpe_news ON COMMIT DROP AS SELECT n.* FROM {net} AS n WHERE n._dpe_gone"
            " OR NOT EXISTS (SELECT FROM {table} AS v WHERE {same} AND {when} AND NOT {differs})",
            net=NET,
            table=of_table(dimension),
            same=same_key(dimension, "v", "n"),
            when=Sql(when),
            differs=distinct(dimension.attributes, "v", "n"),
        ),
        Sql(f"ANALYZE {NEWS}"),
    )


def looks_for_news(dimension: Dimension) -> bool:
    """Whether `_dpe_news` is there and is what becomes versions; else that is `_dpe_net`."""
    return dimension.missing and dimension.type != 1


def holds(dimension: Dimension, time: Sql) -> Sql:
    """Whether a row `v` of the table holds at that time."""
    if dimension.type != 1:
        return Sql(f"v.{FROM} <= {time} AND (v.{TO} IS NULL OR v.{TO} > {time})")
    return Sql(f"v.{FROM} <= {time}" if dimension.effective else "true")


def _again(dimension: Dimension, time: Sql) -> Sql:
    """A key that an earlier snapshot had not, and that this one has with a time before that: it holds from now.

    The row of the stage is counted once: as what opens the new version.
    """
    key = dimension.key
    columns = [*key, *dimension.attributes]
    return phrase(
        "WITH again AS (SELECT n.* FROM (SELECT DISTINCT ON ({x_key}) x.ctid AS _dpe_row, x.* FROM {net} AS x"
        " WHERE x._dpe_origin = 'staged' AND x._dpe_at <= {time} ORDER BY {x_key}, x._dpe_at DESC) AS n"
        " WHERE NOT n._dpe_gone AND n._dpe_at < {time}"
        " AND NOT EXISTS (SELECT FROM {table} AS v WHERE {same} AND v.{valid} @> {time})"
        " AND (EXISTS (SELECT FROM {table} AS v WHERE {same} AND v.valid_to BETWEEN n._dpe_at AND {time})"
        " OR EXISTS (SELECT FROM {marks} AS m WHERE {same_m} AND m.gone AND m.at BETWEEN n._dpe_at AND {time}))"
        "), known AS (UPDATE {net} AS n SET _dpe_origin = 'known' FROM again AS a WHERE n.ctid = a._dpe_row)"
        " INSERT INTO {net} ({columns}, _dpe_at, _dpe_gone, _dpe_origin)"
        " SELECT {a_columns}, {time}, false, 'staged' FROM again AS a",
        net=NET,
        columns=identifiers(columns),
        a_columns=columns_of("a", columns),
        x_key=columns_of("x", key),
        time=time,
        table=of_table(dimension),
        same=same_key(dimension, "v", "n"),
        valid=Sql(VALID),
        marks=qualified_name(dimension.marks),
        same_m=same_key(dimension, "m", "n"),
    )
