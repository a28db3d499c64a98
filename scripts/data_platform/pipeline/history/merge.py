"""A batch brought into a dimension, of whatever type it is."""

from __future__ import annotations

from data_platform.pipeline.history import changing, overwriting
from data_platform.pipeline.history.dimension import NOW, Dimension
from data_platform.pipeline.history.net import CLEAN, NET, PLAN, looks_for_news, net, news, whole_snapshot
from data_platform.sql.text import Sql, phrase

COUNTS = ("inserted", "updated", "deleted", "unchanged", "superseded", "missing")
"""What the last statement of a merge returns; the first five add up to the rows of the stage."""


def merge(dimension: Dimension, stage: Sql, at: Sql = NOW, order: str = "_row") -> tuple[Sql, ...]:
    """Statements for one transaction, which nothing else that writes the table may run beside.

    `stage` is a relation with the columns of the table, `order` its column that says which row came last. `at` is the
    time of the run: from when rows hold that do not say it, and of a whole snapshot. The same stage again changes
    nothing.
    """
    made = changing if dimension.type != 1 else overwriting
    return (
        CLEAN,
        net(dimension, stage, at, order),
        *whole_snapshot(dimension, at),
        Sql(f"ANALYZE {NET}"),
        *news(dimension),
        *made.plan(dimension, at),
        Sql(f"ANALYZE {PLAN}"),
        *made.steps(dimension),
        _counts(dimension, stage),
    )


def _counts(dimension: Dimension, stage: Sql) -> Sql:
    outcomes = {name: f"count(*) FILTER (WHERE _dpe_outcome = '{name}')" for name in COUNTS}
    told = phrase("(SELECT count(*) FROM {net} WHERE _dpe_origin = 'staged')", net=NET)
    outcomes["superseded"] += phrase(" + (SELECT count(*) FROM {stage}) - {told}", stage=stage, told=told)
    if looks_for_news(dimension):
        outcomes["unchanged"] += f" + {told} - count(*) FILTER (WHERE _dpe_origin = 'staged')"
    return phrase(
        "SELECT {counted} FROM {plan}",
        counted=Sql(", ".join(f"{counted} AS {name}" for name, counted in outcomes.items())),
        plan=PLAN,
    )
