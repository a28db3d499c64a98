"""Types 2 and 6: what is seen of a key, laid in the order of its time, becomes its versions again.

Only the keys of the batch are looked at, and of each only what was seen since the first time that the batch tells of: a
batch that is newer than everything costs its own rows. `_dpe_plan` holds a row for each key and time:

    _dpe_kept    it differs from what held before, so that it begins a version or a gap; else it is a mark
    _dpe_until   when the next kept one comes
    _dpe_had     the table has a version that begins then
    _dpe_last    it is the last that says what the key is like
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from data_platform.pipeline.history.dimension import (
    FROM,
    NOW,
    TO,
    Dimension,
    comparable,
    distinct,
    of_table,
    same_key,
)
from data_platform.pipeline.history.net import NET, NEWS, PLAN, holds, looks_for_news
from data_platform.sql.text import Sql, columns_of, identifier, identifiers, phrase, qualified_name


def absent(dimension: Dimension, stage: Sql, at: Sql = NOW) -> Sql:
    """One row: keys that a whole snapshot would close, and keys that hold; ask before a merge that closes too many."""
    time = Sql(f"({at})::{dimension.time}")
    return phrase(
        "SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})) AS absent,"
        " count(*) AS held FROM {table} AS v WHERE {holds}",
        stage=stage,
        same=same_key(dimension, "s", "v"),
        table=of_table(dimension),
        holds=holds(dimension, time),
    )


def plan(dimension: Dimension, at: Sql) -> tuple[Sql, ...]:
    """The statement that makes `_dpe_plan`."""
    values = dimension.attributes
    followed = {name: values[name] for name in dimension.followed}
    rest = {name: values[name] for name in dimension.overwritten}
    statement = """
CREATE TEMP TABLE _dpe_plan ON COMMIT DROP AS
WITH since AS (
    SELECT {key}, min(_dpe_at) AS _dpe_since FROM {net} GROUP BY {key}
), old AS (
    SELECT {v_columns}, v.valid_from, v.valid_to,
           lead(v.valid_from) OVER (PARTITION BY {v_key} ORDER BY v.valid_from) AS _dpe_next
    FROM {table} AS v JOIN since AS s ON {same_s}
    WHERE v.valid_to IS NULL OR v.valid_to >= s._dpe_since
), seen AS (
    SELECT {columns}, valid_from AS _dpe_at, false AS _dpe_gone, 'version' AS _dpe_origin, 1 AS _dpe_rank FROM old
    UNION ALL
    SELECT {key_and_nulls}, valid_to, true, 'end', 0 FROM old
    WHERE valid_to IS NOT NULL AND valid_to IS DISTINCT FROM _dpe_next
{marks}    UNION ALL
    SELECT {columns}, _dpe_at, _dpe_gone, _dpe_origin, 3 FROM {net}
), one AS (
    SELECT DISTINCT ON ({key}, _dpe_at) *, bool_or(_dpe_origin = 'end') OVER same AS _dpe_ended
    FROM seen WINDOW same AS (PARTITION BY {key}, _dpe_at) ORDER BY {key}, _dpe_at, _dpe_rank DESC
), compared AS (
    SELECT *, coalesce(lag(_dpe_gone) OVER along, true) AS _dpe_before,
           _dpe_gone IS DISTINCT FROM coalesce(lag(_dpe_gone) OVER along, true){differs} AS _dpe_kept,
           row_number() OVER (PARTITION BY {key} ORDER BY _dpe_gone, _dpe_at DESC) = 1 AND NOT _dpe_gone AS _dpe_last
    FROM one WINDOW along AS (PARTITION BY {key} ORDER BY _dpe_at)
), placed AS (
    SELECT *, lead(_dpe_at) OVER (PARTITION BY {key}, _dpe_kept ORDER BY _dpe_at) AS _dpe_until FROM compared
)
SELECT {p_columns}, p._dpe_at, p._dpe_gone, p._dpe_origin, p._dpe_kept, p._dpe_last, p._dpe_until,
       o.valid_from IS NOT NULL AS _dpe_had, o.valid_to AS _dpe_old_until,
       {changed} AS _dpe_changed,
       CASE WHEN p._dpe_origin = 'absent' THEN 'missing'
            WHEN p._dpe_origin <> 'staged' THEN NULL
            WHEN p._dpe_gone THEN
                CASE WHEN p._dpe_kept AND NOT p._dpe_ended OR o.valid_from IS NOT NULL
                     THEN 'deleted' ELSE 'unchanged' END
            WHEN o.valid_from IS NOT NULL THEN CASE WHEN {changed}{rest} THEN 'updated' ELSE 'unchanged' END
            WHEN p._dpe_kept THEN CASE WHEN p._dpe_before THEN 'inserted' ELSE 'updated' END
            WHEN p._dpe_ended{rest} THEN 'updated'
            ELSE 'unchanged' END AS _dpe_outcome
FROM placed AS p LEFT JOIN old AS o ON {same_o} AND o.valid_from = p._dpe_at{stored}"""
    key = list(dimension.key)
    nulls = [*(str(identifier(name)) for name in key), *("NULL" for _ in values)]
    return (
        phrase(
            statement,
            net=NEWS if looks_for_news(dimension) else NET,
            table=of_table(dimension),
            key=identifiers(key),
            columns=identifiers([*key, *values]),
            v_columns=columns_of("v", [*key, *values]),
            v_key=columns_of("v", key),
            p_columns=columns_of("p", [*key, *values]),
            key_and_nulls=Sql(", ".join(nulls)),
            marks=_marks_seen(dimension) if dimension.remembers else Sql(""),
            same_s=same_key(dimension, "s", "v"),
            same_o=same_key(dimension, "o", "p"),
            differs=_differs_from_before(followed),
            changed=distinct(followed, "o", "p"),
            rest=_rest_changed(rest),
            stored=_stored(dimension, rest),
        ),
    )


def _marks_seen(dimension: Dimension) -> Sql:
    """What was seen and changed nothing, with the values of the version that it was seen in."""
    statement = """    UNION ALL
    SELECT {m_key}{values}, m.at, m.gone, 'mark', 2
    FROM {marks} AS m JOIN since AS s ON {same_s} AND m.at >= s._dpe_since
    LEFT JOIN old AS o ON NOT m.gone AND {same_o}
         AND o.valid_from <= m.at AND (o.valid_to IS NULL OR m.at < o.valid_to)
"""
    return phrase(
        statement,
        m_key=columns_of("m", dimension.key),
        values=Sql("".join(f", o.{identifier(name)}" for name in dimension.attributes)),
        marks=qualified_name(dimension.marks),
        same_s=same_key(dimension, "s", "m"),
        same_o=same_key(dimension, "o", "m"),
    )


def _differs_from_before(followed: Mapping[str, Sql]) -> Sql:
    parts = []
    for name, type_ in followed.items():
        value = comparable(type_, identifier(name))
        before = comparable(type_, Sql(f"(lag({identifier(name)}) OVER along)"))
        parts.append(f"\n           OR {value} IS DISTINCT FROM {before}")
    return Sql("".join(parts))


def _rest_changed(rest: Mapping[str, Sql]) -> Sql:
    """Whether an attribute that is not followed changes; it does for all versions, by what was seen last."""
    return Sql(f" OR p._dpe_last AND k._dpe_stored AND {distinct(rest, 'k', 'p')}") if rest else Sql("")


def _stored(dimension: Dimension, rest: Mapping[str, Sql]) -> Sql:
    """What the versions of a key have of those: all the same."""
    if not rest:
        return Sql("")
    return phrase(
        "\nLEFT JOIN (SELECT DISTINCT ON ({key}) {columns}, true AS _dpe_stored FROM old ORDER BY {key}) AS k"
        " ON {same}",
        key=identifiers(dimension.key),
        columns=identifiers([*dimension.key, *rest]),
        same=same_key(dimension, "k", "p"),
    )


# --- doing it ---


def steps(dimension: Dimension) -> tuple[Sql, ...]:
    """In this order no two versions overlap in between: what goes, what is cut or grows, what comes."""
    table, same = of_table(dimension), same_key(dimension, "v", "p")
    found = [
        phrase(
            "DELETE FROM {table} AS v USING {plan} AS p WHERE {same} AND v.valid_from = p._dpe_at AND p._dpe_had"
            " AND (p._dpe_gone OR NOT p._dpe_kept)",
            table=table,
            plan=PLAN,
            same=same,
        ),
        phrase(
            "UPDATE {table} AS v SET {values}valid_to = p._dpe_until FROM {plan} AS p WHERE {same}"
            " AND v.valid_from = p._dpe_at AND p._dpe_had AND p._dpe_kept AND NOT p._dpe_gone"
            " AND (p._dpe_changed OR p._dpe_until IS DISTINCT FROM p._dpe_old_until)",
            table=table,
            values=_assigned({name: name for name in dimension.followed}),
            plan=PLAN,
            same=same,
        ),
        _opened(dimension),
    ]
    if dimension.copies:
        found.append(_copied(dimension))
    if dimension.type == 6 and dimension.followed:
        found.append(_copied_from_before(dimension))
    if dimension.remembers:
        found += _marked(dimension)
    return tuple(found)


def _assigned(columns: Mapping[str, str]) -> Sql:
    return Sql("".join(f"{identifier(to)} = p.{identifier(of)}, " for to, of in columns.items()))


def _listed(names: Iterable[str], prefix: str = "") -> Sql:
    return Sql("".join(f"{prefix}{identifier(name)}, " for name in names))


def _opened(dimension: Dimension) -> Sql:
    copies = {to: of for to, of in dimension.copies.items() if to not in dimension.attributes}
    own = [*dimension.key, *dimension.attributes]
    return phrase(
        "INSERT INTO {table} ({own}{copies}{since}, {until}) SELECT {p_own}{p_copies}p._dpe_at, p._dpe_until"
        " FROM {plan} AS p WHERE p._dpe_kept AND NOT p._dpe_gone AND NOT p._dpe_had",
        table=of_table(dimension),
        own=_listed(own),
        copies=_listed(copies),
        since=Sql(FROM),
        until=Sql(TO),
        p_own=_listed(own, "p."),
        p_copies=_listed(copies.values(), "p."),
        plan=PLAN,
    )


def _copied(dimension: Dimension) -> Sql:
    """Every version of a key holds what was seen last."""
    copies = dimension.copies
    return phrase(
        "UPDATE {table} AS v SET {assigned} FROM {plan} AS p WHERE p._dpe_last AND {same} AND ({differs})",
        table=of_table(dimension),
        assigned=Sql(_assigned(copies).removesuffix(", ")),
        plan=PLAN,
        same=same_key(dimension, "v", "p"),
        differs=_differ(dimension, copies),
    )


def _copied_from_before(dimension: Dimension) -> Sql:
    """The same where a delete took the place of the last version, so that one is last that was not looked at."""
    copies = {to: of for to, of in dimension.copies.items() if to not in dimension.attributes}
    key = identifiers(dimension.key)
    last = phrase(
        "SELECT DISTINCT ON ({t_key}) {columns} FROM {table} AS t JOIN (SELECT {key} FROM {plan} GROUP BY {key}"
        " HAVING NOT bool_or(_dpe_last)) AS k ON {same} ORDER BY {t_key}, t.valid_from DESC",
        t_key=columns_of("t", dimension.key),
        columns=columns_of("t", [*dimension.key, *copies.values()]),
        table=of_table(dimension),
        key=key,
        plan=PLAN,
        same=same_key(dimension, "k", "t"),
    )
    return phrase(
        "UPDATE {table} AS v SET {assigned} FROM ({last}) AS p WHERE {same} AND ({differs})",
        table=of_table(dimension),
        assigned=Sql(_assigned(copies).removesuffix(", ")),
        last=last,
        same=same_key(dimension, "v", "p"),
        differs=_differ(dimension, copies),
    )


def _differ(dimension: Dimension, copies: Mapping[str, str]) -> Sql:
    """Whether a copy in the version `v` is not what `p` has."""
    parts = [
        f"{comparable(dimension.attributes[of], Sql(f'v.{identifier(to)}'))}"
        f" IS DISTINCT FROM {comparable(dimension.attributes[of], Sql(f'p.{identifier(of)}'))}"
        for to, of in copies.items()
    ]
    return Sql(" OR ".join(parts))


def _marked(dimension: Dimension) -> list[Sql]:
    marks, key = qualified_name(dimension.marks), identifiers(dimension.key)
    return [
        phrase(
            "DELETE FROM {marks} AS m USING {plan} AS p WHERE p._dpe_kept AND {same} AND m.at = p._dpe_at",
            marks=marks,
            plan=PLAN,
            same=same_key(dimension, "m", "p"),
        ),
        phrase(
            "INSERT INTO {marks} AS m ({key}, at, gone) SELECT {key}, _dpe_at, _dpe_gone FROM {plan}"
            " WHERE NOT _dpe_kept ON CONFLICT ({key}, at) DO UPDATE SET gone = excluded.gone"
            " WHERE m.gone IS DISTINCT FROM excluded.gone",
            marks=marks,
            key=key,
            plan=PLAN,
        ),
    ]
