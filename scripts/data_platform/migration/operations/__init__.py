"""Named changes of a schema: each says in plain DDL what shall be, and what the DDL does not say of the way there.

An operation knows nothing of locks. `prove` runs its DDL on an empty scratch database and reads the catalog: that is
the schema after it, and `plan` finds the way, as between any two schemas.

- `asked`: what an operation is given and what it leaves
- `columns tables constraints objects patterns`: the operations, a function each
"""

from __future__ import annotations

from collections.abc import Mapping

from data_platform.migration.operations import columns, constraints, objects, patterns, tables
from data_platform.migration.operations.asked import Operation

OPERATIONS: Mapping[str, Operation] = {
    **tables.OPERATIONS,
    **columns.OPERATIONS,
    **constraints.OPERATIONS,
    **objects.OPERATIONS,
    **patterns.OPERATIONS,
}
"""By the names that they have in a spec of kind `change`."""
