"""Slowly changing dimensions as SQL text: tables that keep what was, and the statements that bring a batch in.

dimension    what a table is told by, and what agrees with it
tables       tables, view of the present, function of any time
changing     types 2 and 6: a batch becomes versions, in whatever order it comes
overwriting  type 1: the last value only

    columns = {"key": {"id": Sql("bigint")}, "attributes": {"city": Sql("text")}}
    dimension = Dimension(table=Name("public", "customers"), **columns)
    for statement in (*dimension_tables(dimension), *merge(dimension, Sql("pg_temp.stage"))):
        connection.execute(statement)

The last statement of `merge` returns one row: inserted, updated, deleted, unchanged, superseded, missing. The first
five add up to the rows of the stage; `missing` are keys closed because a whole snapshot does not have them.
"""

from data_platform.pipeline.history.changing import absent
from data_platform.pipeline.history.dimension import Dimension
from data_platform.pipeline.history.merge import COUNTS, merge
from data_platform.pipeline.history.tables import drop_tables, extensions, guard, rules
from data_platform.pipeline.history.tables import tables as dimension_tables

__all__ = [
    "COUNTS",
    "Dimension",
    "absent",
    "dimension_tables",
    "drop_tables",
    "extensions",
    "guard",
    "merge",
    "rules",
]
