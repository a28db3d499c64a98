"""`outbox` and `idempotency_keys`: events that are true when they are sent, and requests that are done once."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft
from data_platform.sql.text import qualified


def outbox(draft: Draft, value: Any, path: Path_) -> None:
    """Events as rows of the transaction that they tell of, and the place of each reader of them."""
    draft.add_table(
        "outbox",
        {
            "comment": "Events, written in the transaction that they tell of.",
            "columns": {
                "id": {"type": "bigint", "identity": "always", "primary_key": True},
                "xid": {"type": "xid8", "default": "pg_current_xact_id()"},
                "topic": "text",
                "about": {"type": "text", "comment": "What must stay in order, such as the id of an order."},
                "body": "jsonb",
                "created_at": {"type": "timestamptz", "default": "now()"},
            },
            "indexes": [["xid", "id"]],
        },
        path,
    )
    comment = "How far each reader is. Read only what is older than pg_snapshot_xmin(pg_current_snapshot())."
    columns = {
        "name": {"type": "text", "primary_key": True},
        "xid": {"type": "xid8", "default": "'0'"},
        "id": {"type": "bigint", "default": 0},
    }
    draft.add_table(
        "outbox_readers", {"comment": comment, "columns": columns, "conventions": {"tenant": False}}, path
    )


def idempotency_keys(draft: Draft, value: Any, path: Path_) -> None:
    """The key of a request, a digest of it and its answer in one row, in the same transaction as the work."""
    draft.add_table(
        "idempotency_keys",
        {
            "comment": "Requests that were done, and what was answered; to be purged when no client retries any more.",
            "columns": {
                "client_id": "text",
                "key": {"type": "text", "check": "length(key) BETWEEN 1 AND 255"},
                "request": {"type": "bytea", "comment": "SHA-256 of the request."},
                "response": {"type": "jsonb", "nullable": True},
                "created_at": {"type": "timestamptz", "default": "now()"},
            },
            "primary_key": ["client_id", "key"],
            "indexes": [["created_at"]],
        },
        path,
    )
    values = {"table": qualified(draft.default_schema, "idempotency_keys")}
    draft.add_function(
        "begin_request",
        "begin_request.sql.j2",
        path,
        values=values,
        arguments="client text, request_key text, digest bytea",
        returns="jsonb",
        comment="NULL where the work is to be done, else the answer that it had; fails for another request.",
    )
    draft.add_function(
        "answer_request",
        "answer_request.sql.j2",
        path,
        values=values,
        arguments="client text, request_key text, answer jsonb",
        returns="void",
        comment="Keeps the answer, in the transaction of the work.",
    )
