"""How a batch comes into its target, as queries that DuckDB and Spark both read; quoting is the engine's.

A merge keeps of each key the row that wins: the greatest version, of equal ones a deletion, then the newer batch. A
history is made anew from all that was ever seen of a key (`seen`): neighbours that say the same are one version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from data_platform.pipeline.engines.project import Goal

Quote = Callable[[str], str]
GONE, NEW, ABSENT = "_dpe_gone", "_dpe_new", "_dpe_absent"


def listed(names: Iterable[str], quote: Quote, alias: str = "") -> str:
    return ", ".join(f"{alias}{quote(name)}" for name in names)


def has_key(goal: Goal, quote: Quote) -> str:
    """Rows without a key, or without the time of a history, belong nowhere."""
    needed = [
        *goal.target.key,
        *([goal.target.version] if goal.way == "history" and goal.target.version else []),
    ]
    return " AND ".join(f"{quote(name)} IS NOT NULL" for name in needed) or "true"


def gone_of(goal: Goal, quote: Quote) -> str:
    return f"coalesce({quote(goal.gone)}, false)" if goal.gone else "false"


def winners(goal: Goal, state: str, batch: str, quote: Quote, order: str) -> str:
    """State and batch merged: a row a key, with a flag where the last that was said of it is that it is gone."""
    key, columns = listed(goal.target.key, quote), listed(goal.columns, quote)
    version = f"{quote(goal.target.version)} DESC NULLS LAST, " if goal.target.version else ""
    flags = f"{GONE} DESC, {NEW} DESC" if version else f"{NEW} DESC"
    absent = ""
    if goal.missing:
        same = " AND ".join(f"r.{quote(name)} = w.{quote(name)}" for name in goal.target.key)
        absent = f",\n       NOT EXISTS (SELECT 1 FROM {batch} r WHERE {same}) AS {ABSENT}"
    return f"""SELECT {columns}, {GONE}{absent} FROM (
    SELECT {columns}, {GONE}, row_number() OVER (PARTITION BY {key} ORDER BY {version}{flags}, {order}) AS _dpe_place
      FROM (
        SELECT {columns}, {GONE}, 0 AS {NEW}, {order_of_state(order)} FROM {state}
        UNION ALL
        SELECT {columns}, {gone_of(goal, quote)} AS {GONE}, 1 AS {NEW}, {order_of_batch(order)} FROM {batch}
         WHERE {has_key(goal, quote)}
      ) AS both_of_them
) AS w WHERE _dpe_place = 1"""


def order_of_state(order: str) -> str:
    return "0 AS _dpe_row" if "_dpe_row" in order else "0 AS _dpe_none"


def order_of_batch(order: str) -> str:
    return "_dpe_row" if "_dpe_row" in order else "0 AS _dpe_none"


def seen(goal: Goal, state: str, batch: str, quote: Quote, order: str, now: str) -> str:
    """All that was ever seen: a row a key and time, of which the newer batch wins."""
    key, columns = listed(goal.target.key, quote), listed([*goal.target.key, *goal.attributes], quote)
    at = quote(goal.target.version) if goal.target.version else now
    return f"""SELECT {columns}, _dpe_at, {GONE} FROM (
    SELECT {columns}, _dpe_at, {GONE}, row_number() OVER (
           PARTITION BY {key}, _dpe_at ORDER BY {NEW} DESC, {order}) AS _dpe_place
      FROM (
        SELECT {columns}, _dpe_at, {GONE}, 0 AS {NEW}, {order_of_state(order)} FROM {state}
        UNION ALL
        SELECT {columns}, {at} AS _dpe_at, {gone_of(goal, quote)} AS {GONE}, 1 AS {NEW}, {order_of_batch(order)}
          FROM {batch}
         WHERE {has_key(goal, quote)}
      ) AS both_of_them
) AS w WHERE _dpe_place = 1"""


def versions(goal: Goal, state: str, quote: Quote) -> str:
    """The dimension from all that was seen."""
    if goal.target.type == 1:
        return _last(goal, state, quote)
    key = listed(goal.target.key, quote)
    along = f"OVER (PARTITION BY {key} ORDER BY _dpe_at)"
    latest = f"OVER (PARTITION BY {key} ORDER BY {GONE}, _dpe_at DESC)"
    differs = (
        " OR ".join(f"{quote(name)} IS DISTINCT FROM lag({quote(name)}) {along}" for name in goal.followed)
        or "false"
    )
    shown = [
        quote(name) if name in goal.followed else f"first_value({quote(name)}) {latest} AS {quote(name)}"
        for name in goal.attributes
    ]
    if goal.target.type == 6:
        shown += [
            f"first_value({quote(name)}) {latest} AS {quote('current_' + name)}" for name in goal.followed
        ]
    copies = [quote("current_" + name) for name in goal.followed] if goal.target.type == 6 else []
    columns = ", ".join([key, *(quote(name) for name in goal.attributes), *copies])
    inner = ", ".join([key, *shown])
    return f"""WITH compared AS (
    SELECT {inner}, _dpe_at, {GONE},
           CASE WHEN {GONE} THEN NOT coalesce(lag({GONE}) {along}, true)
                ELSE coalesce(lag({GONE}) {along}, true) OR {differs} END AS _dpe_kept
      FROM {state}
), placed AS (
    SELECT {columns}, {GONE}, _dpe_at AS valid_from,
           lead(_dpe_at) OVER (PARTITION BY {key} ORDER BY _dpe_at) AS valid_to
      FROM compared WHERE _dpe_kept
)
SELECT {columns}, valid_from, valid_to FROM placed WHERE NOT {GONE}"""


def _last(goal: Goal, state: str, quote: Quote) -> str:
    key = listed(goal.target.key, quote)
    columns = listed([*goal.target.key, *goal.attributes], quote)
    since = ", _dpe_at AS valid_from" if goal.target.version else ""
    return f"""SELECT {columns}{since} FROM (
    SELECT {columns}, _dpe_at, {GONE}, row_number() OVER (PARTITION BY {key} ORDER BY _dpe_at DESC) AS _dpe_place
      FROM {state}
) AS w WHERE _dpe_place = 1 AND NOT {GONE}"""
