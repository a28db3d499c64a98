"""Kind `model`: from a checked document to a `Design`. Reads types, tables, keys and access patterns, in that order.

context    what all readers share: the document, the errors so far, name resolution
types      enums, domains, composites
columns    columns, house rules (conventions)
tables     keys, checks, exclusions, indexes
references foreign keys and the indexes that come with them
patterns   access patterns
"""

from data_platform.spec.model.reader import read_model

__all__ = ["read_model"]
