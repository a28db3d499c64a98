"""Views and materialized views with every field."""

from __future__ import annotations

from data_platform.model.database import (
    Index,
    MaterializedView,
    Rule,
    Statistics,
    Trigger,
    View,
)
from schema.everything.builders import app, key

VIEWS = (
    View(
        name=app("a_of_b"),
        query="SELECT b.id, b.number FROM app.b_first b -- last words",
        options=(("check_option", "local"), ("security_barrier", "true"), ("security_invoker", "true")),
        defaults=(("number", "42"),),
        column_comments=(("id", "the order's"),),
        triggers=(
            Trigger(
                name="instead",
                timing="instead of",
                events=("insert",),
                function=app("touch"),
                comment="writes",
            ),
        ),
        comment="over a view",
        owner="dpe_r_owner",
    ),
    View(
        name=app("b_first"),
        query="SELECT id, number, mood FROM app.orders",
        rules=(
            Rule(
                name="swallow",
                sql="CREATE RULE swallow AS ON INSERT TO app.b_first DO INSTEAD"
                " (INSERT INTO app.scratch VALUES (new.id); NOTIFY x);",
                comment="swallows",
            ),
        ),
    ),
)

MATERIALIZED = (
    MaterializedView(
        name=app("counted"),
        query="SELECT mood, count(*) AS n FROM app.a_of_b JOIN app.b_first USING (id) GROUP BY mood",
        options=(("fillfactor", "70"),),
        indexes=(Index(name="counted_mood", elements=key("mood"), unique=True, comment="for refresh"),),
        statistics=(Statistics(name="counted_both", on=key("mood", "n")),),
        column_comments=(("n", "how many"),),
        cluster_on="counted_mood",
        access_method="heap",
        comment="counts",
        owner="dpe_r_owner",
    ),
    MaterializedView(name=app("unfilled"), query="TABLE app.scratch", populated=False),
)
