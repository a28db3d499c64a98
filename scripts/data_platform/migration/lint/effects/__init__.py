"""What a statement does to tables that clients use: its locks, and the work that grows with the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_platform.migration.lint.effects import objects, rows
from data_platform.migration.lint.effects.alter import alter_table
from data_platform.migration.lint.effects.collect import Effects, Lock, Work

__all__ = ["READERS", "Effects", "Lock", "Work"]

READERS: dict[str, Callable[[Effects, Any], None]] = {
    "alter_domain_stmt": objects.domain,
    "alter_object_schema_stmt": objects.set_schema,
    "alter_policy_stmt": objects.exclusive,
    "alter_table_stmt": alter_table,
    "cluster_stmt": objects.cluster,
    "comment_stmt": objects.comment,
    "copy_stmt": rows.copy,
    "create_policy_stmt": objects.exclusive,
    "create_stats_stmt": objects.statistics,
    "create_stmt": objects.create_table,
    "create_table_as_stmt": rows.create_as,
    "create_trig_stmt": objects.trigger,
    "delete_stmt": rows.delete,
    "drop_stmt": objects.drop,
    "index_stmt": objects.create_index,
    "insert_stmt": rows.insert,
    "lock_stmt": objects.lock_table,
    "merge_stmt": rows.merge,
    "refresh_mat_view_stmt": objects.refresh,
    "reindex_stmt": objects.reindex,
    "rename_stmt": objects.rename,
    "rule_stmt": objects.exclusive,
    "select_stmt": rows.select,
    "truncate_stmt": objects.truncate,
    "update_stmt": rows.update,
    "vacuum_stmt": objects.vacuum,
    "view_stmt": objects.view,
}
"""One reader for each kind of statement that concerns tables."""
