"""Type 1: a key's last value only. Where rows say their time, an older one that comes late changes nothing.

So that a deleted key does not come back with an older row, its marks keep the time of the delete.
"""

from __future__ import annotations

from data_platform.pipeline.history.dimension import FROM, Dimension, distinct, of_table, same_key
from data_platform.pipeline.history.net import NET, PLAN
from data_platform.sql.text import Sql, columns_of, identifier, identifiers, joined, phrase, qualified_name


def plan(dimension: Dimension, at: Sql) -> tuple[Sql, ...]:
    """The statement that makes `_dpe_plan`: a row a key, and what is to become of it."""
    statement = """
CREATE TEMP TABLE _dpe_plan ON COMMIT DROP AS
WITH told AS (
    SELECT {n_columns}, {time} AS _dpe_at, n._dpe_gone, n._dpe_origin,
           row_number() OVER (PARTITION BY {n_key} ORDER BY n._dpe_at DESC) > 1 AS _dpe_older{known}
    FROM {net} AS n{join}
)
SELECT t.*,
       CASE WHEN t._dpe_older OR t._dpe_late THEN 'superseded'
            WHEN t._dpe_gone THEN CASE WHEN v.{first} IS NULL THEN 'unchanged'
                                       WHEN t._dpe_origin = 'absent' THEN 'missing' ELSE 'deleted' END
            WHEN v.{first} IS NULL THEN 'inserted'
            WHEN {differs} THEN 'updated' ELSE 'unchanged' END AS _dpe_outcome
FROM told AS t LEFT JOIN {table} AS v ON {same}"""
    first = next(iter(dimension.key))
    return (
        phrase(
            statement,
            n_columns=columns_of("n", [*dimension.key, *dimension.attributes]),
            n_key=columns_of("n", dimension.key),
            time=_time(dimension, at),
            known=_known(dimension, at),
            net=NET,
            join=_marks(dimension),
            first=identifier(first),
            differs=distinct(dimension.attributes, "v", "t"),
            table=of_table(dimension),
            same=same_key(dimension, "v", "t"),
        ),
    )


def _time(dimension: Dimension, at: Sql) -> Sql:
    """A key that an earlier snapshot had not, and that this one has with a time before that, holds from now."""
    if not (dimension.missing and dimension.remembers):
        return Sql("n._dpe_at")
    now = Sql(f"({at})::{dimension.time}")
    return Sql(
        f"CASE WHEN n._dpe_gone OR m.at IS NULL OR n._dpe_at > m.at OR m.at > {now} THEN n._dpe_at ELSE {now} END"
    )


def _known(dimension: Dimension, at: Sql) -> Sql:
    if not dimension.remembers:
        return Sql(", false AS _dpe_late")
    return Sql(f", {_time(dimension, at)} < coalesce(b.{FROM}, m.at) AS _dpe_late")


def _marks(dimension: Dimension) -> Sql:
    if not dimension.remembers:
        return Sql("")
    return phrase(
        "\n    LEFT JOIN {table} AS b ON {same_b} LEFT JOIN {marks} AS m ON {same_m}",
        table=of_table(dimension),
        same_b=same_key(dimension, "b", "n"),
        marks=qualified_name(dimension.marks),
        same_m=same_key(dimension, "m", "n"),
    )


def steps(dimension: Dimension) -> tuple[Sql, ...]:
    """What goes, what comes, and when a key went."""
    found = [
        phrase(
            "DELETE FROM {table} AS v USING {plan} AS p WHERE p._dpe_outcome IN ('deleted', 'missing') AND {same}",
            table=of_table(dimension),
            plan=PLAN,
            same=same_key(dimension, "v", "p"),
        ),
        _written(dimension),
    ]
    if dimension.remembers:
        found += _marked(dimension)
    return tuple(found)


def _written(dimension: Dimension) -> Sql:
    columns = [*dimension.key, *dimension.attributes]
    since = Sql(f", {FROM}") if dimension.remembers else Sql("")
    assigned = [Sql(f"{identifier(name)} = excluded.{identifier(name)}") for name in dimension.attributes]
    if dimension.remembers:
        assigned.append(Sql(f"{FROM} = excluded.{FROM}"))
    differs = distinct(dimension.attributes, "v", "excluded")
    newer = Sql(f" OR v.{FROM} < excluded.{FROM}") if dimension.remembers else Sql("")
    action = phrase(
        "UPDATE SET {assigned} WHERE {differs}{newer}",
        assigned=joined(", ", assigned),
        differs=differs,
        newer=newer,
    )
    return phrase(
        "INSERT INTO {table} AS v ({columns}{since}) SELECT {p_columns}{p_since} FROM {plan} AS p"
        " WHERE NOT p._dpe_gone AND p._dpe_outcome <> 'superseded' ON CONFLICT ({key}) DO {action}",
        table=of_table(dimension),
        columns=identifiers(columns),
        since=since,
        p_columns=columns_of("p", columns),
        p_since=Sql(", p._dpe_at") if dimension.remembers else Sql(""),
        plan=PLAN,
        key=identifiers(dimension.key),
        action=action if assigned else Sql("NOTHING"),
    )


def _marked(dimension: Dimension) -> list[Sql]:
    """At most one mark a key: when it went last. It goes when the key is there again."""
    marks, key = qualified_name(dimension.marks), identifiers(dimension.key)
    return [
        phrase(
            "DELETE FROM {marks} AS m USING {plan} AS p WHERE p._dpe_outcome <> 'superseded' AND {same}",
            marks=marks,
            plan=PLAN,
            same=same_key(dimension, "m", "p"),
        ),
        phrase(
            "INSERT INTO {marks} ({key}, at, gone) SELECT {key}, _dpe_at, true FROM {plan}"
            " WHERE _dpe_gone AND _dpe_outcome <> 'superseded'",
            marks=marks,
            key=key,
            plan=PLAN,
        ),
    ]
