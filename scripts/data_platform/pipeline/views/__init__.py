"""Results that are kept: materialized views refreshed in order, and summaries that follow each statement.

refresh   in which order, CONCURRENTLY where an index allows it, and a record of how old each is
summary   counts, sums, smallest and greatest values per group, kept by triggers and equal to the aggregate: what it is
statements   and the SQL of it

A materialized view costs its whole query at each refresh and is old in between. A summary costs each writer a little
and is never old; writers of one group wait for each other.
"""

from data_platform.pipeline.views.refresh import (
    MaterializedView,
    Refresh,
    refresh,
    refresh_plan,
    refresh_tables,
)
from data_platform.pipeline.views.statements import refill, summary_tables, verify
from data_platform.pipeline.views.summary import Measure, Summary

__all__ = [
    "MaterializedView",
    "Measure",
    "Refresh",
    "Summary",
    "refill",
    "refresh",
    "refresh_plan",
    "refresh_tables",
    "summary_tables",
    "verify",
]
