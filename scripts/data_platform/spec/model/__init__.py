"""Kind `model`: from a checked document to a `Design`, and from a `Design` to the text of one.

context    what all readers share: the document, the errors so far, name resolution
codec      objects from and to plain data, by the fields of their dataclasses; values: single ones
conventions one line each, written out as ordinary objects before anything is read
texts      queries, scripts, signatures, bounds; scalars: numbers that stand for texts
types      enums, domains, composites, ranges
family     partitions, inheritance: which tables have columns from which
scope      one table while it is read: columns, constraints, indexes, tables
references foreign keys and the indexes that come with them
objects    what is no table and no type: functions, views, grants and the rest
patterns   access patterns
write      the way back; write_tables
"""

from data_platform.spec.model.reader import read_model
from data_platform.spec.model.write import write

__all__ = ["read_model", "write"]
