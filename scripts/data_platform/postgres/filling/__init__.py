"""Rows for a whole database at the least cost: triggers aside, indexes afterwards, and a few rows made into many.

    with aside(connection), indexes_afterwards(connection, tables):
        Generator(fillable(connection, database), …)

`aside` switches off what may refuse or change a synthetic row; `fillable` is the database as the generator of rows
should see it; `multiply` copies the rows of a table within the server, with new values where a key wants them.
"""

from __future__ import annotations

from data_platform.postgres.filling.aside import aside
from data_platform.postgres.filling.indexes import indexes_afterwards
from data_platform.postgres.filling.multiply import NotMultipliable, multiply, spreads
from data_platform.postgres.filling.partitions import fillable, partition_constraint

__all__ = [
    "NotMultipliable",
    "aside",
    "fillable",
    "indexes_afterwards",
    "multiply",
    "partition_constraint",
    "spreads",
]
