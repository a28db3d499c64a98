"""The same design for another database: MySQL, SQLite, DuckDB, BigQuery, Snowflake or Spark.

`render` is the way in. targets.py says what each database can hold, spellings.py how it names types; types, columns,
constraints, indexes, tables and views make lines of DDL from that; reading.py and queries.py translate expressions;
ledger.py keeps what is said of the rest.
"""

from data_platform.schema.dialects.render import Rendered, render
from data_platform.schema.dialects.targets import TARGETS, Dialect

__all__ = ["TARGETS", "Dialect", "Rendered", "render"]
