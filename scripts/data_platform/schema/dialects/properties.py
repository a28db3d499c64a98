"""Which properties of an object the SQL says, and what is said of each that it does not: one entry a property."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, NamedTuple

from data_platform.model import database as model
from data_platform.report.finding import Severity
from data_platform.schema.dialects.ledger import Place
from data_platform.schema.dialects.work import Work


class Unsaid(NamedTuple):
    """The finding for a property that is not its default and has no form in any target."""

    message: str
    severity: Severity = "warning"


_OWNER = Unsaid("its owner is left out", "info")
_COMMENT = Unsaid("its comment is left out")
_PARAMETERS = Unsaid("its storage parameters are left out")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WRITTEN: dict[type, frozenset[str]] = {
    model.Column: _words(
        "name type nullable default identity generated collation comment sequence sequence_name inherited"
    ),
    model.PrimaryKey: _words("name columns deferral include without_overlaps"),
    model.Unique: _words("name columns nulls_not_distinct include deferral without_overlaps"),
    model.Check: _words("name expression validated enforced"),
    model.Exclusion: _words("name method elements where deferral include options"),
    model.ForeignKey: _words(
        "name columns target target_columns on_delete on_update set_columns match_full deferral period enforced"
    ),
    model.Index: _words("name elements method unique nulls_not_distinct include where options comment"),
    model.Table: _words(
        "name columns primary_key uniques checks exclusions foreign_keys indexes triggers comment partition_of "
        "policies rules statistics foreign"
    ),
    model.View: _words("name query comment triggers rules column_comments"),
    model.MaterializedView: _words("name query indexes comment statistics column_comments"),
    model.Sequence: _words("name type sequence"),
    model.Enum: _words("name labels comment"),
    model.Domain: _words("name base nullable default collation checks not_null"),
    model.Composite: _words("name attributes"),
}
"""Translated, or answered with a finding that depends on the target."""

UNSAID: dict[type, dict[str, Unsaid]] = {
    model.Column: {
        "not_null": Unsaid("the name or the reach of its NOT NULL is left out"),
        "storage": Unsaid("its storage is left out"),
        "compression": Unsaid("its compression is left out"),
        "statistics": Unsaid("its statistics target is left out"),
        "options": Unsaid("its attribute options are left out"),
    },
    model.PrimaryKey: {"options": _PARAMETERS, "comment": _COMMENT},
    model.Unique: {"options": _PARAMETERS, "comment": _COMMENT},
    model.Check: {
        "no_inherit": Unsaid("NO INHERIT is left out: there is no inheritance"),
        "comment": _COMMENT,
    },
    model.Exclusion: {"comment": _COMMENT},
    model.ForeignKey: {
        "validated": Unsaid("NOT VALID in PostgreSQL: old rows may break it and cannot be loaded here"),
        "comment": _COMMENT,
    },
    model.Index: {
        "only": Unsaid("ON ONLY is left out: the table has no partitions here"),
        "statistics": Unsaid("its statistics targets are left out"),
    },
    model.Table: {
        "partition_by": Unsaid(
            "the table is not partitioned here: its rows lie in one table, and what its partitions repeat of it is "
            "said of it alone"
        ),
        "inherits": Unsaid(
            "it inherits from no table: its rows are not rows of its parents any more", "error"
        ),
        "row_security": Unsaid("row-level security is not there: everybody sees every row", "error"),
        "unlogged": Unsaid("UNLOGGED is left out"),
        "options": _PARAMETERS,
        "replica_identity": Unsaid("its replica identity is left out"),
        "cluster_on": Unsaid("CLUSTER is left out"),
        "access_method": Unsaid("its access method is left out"),
        "of_type": Unsaid("it is not a table of a type: its columns are its own"),
        "owner": _OWNER,
    },
    model.View: {
        "options": Unsaid(
            "its options (security_invoker, security_barrier, check_option) are left out", "error"
        ),
        "defaults": Unsaid("the defaults of its columns are left out"),
        "owner": _OWNER,
    },
    model.MaterializedView: {
        "populated": Unsaid("WITH NO DATA is left out"),
        "options": _PARAMETERS,
        "cluster_on": Unsaid("CLUSTER is left out"),
        "access_method": Unsaid("its access method is left out"),
        "owner": _OWNER,
    },
    model.Sequence: {
        "owned_by": Unsaid("it is not dropped with the column that owns it"),
        "unlogged": Unsaid("UNLOGGED is left out"),
        "comment": _COMMENT,
        "owner": _OWNER,
    },
    model.Enum: {"owner": _OWNER},
    model.Domain: {"comment": _COMMENT, "owner": _OWNER},
    model.Composite: {"comment": _COMMENT, "owner": _OWNER},
}


def unsaid(work: Work, place: Place, object_: Any) -> None:
    """A finding for each property of the object that is not its default and has no form here."""
    entries = UNSAID[type(object_)]
    for field in fields(object_):
        entry = entries.get(field.name)
        if entry is not None and getattr(object_, field.name) != _default(field):
            work.ledger.say(place, entry.message, entry.severity)


def _default(field: Field[Any]) -> object:
    return None if field.default is MISSING else field.default
