"""Rules about what leaves the server and what outlives a crash: publications, replica identities, unlogged tables."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import Publication, Table
from data_platform.schema.rules.remedies import alter
from data_platform.schema.rules.rule import Hit, on_object, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier


@rule(
    "replica-identity-missing",
    "error",
    "A published table without a key refuses every UPDATE and DELETE: nothing names the row to the subscriber.",
)
def replica_identity_missing(subject: Subject) -> Iterator[Hit]:
    for publication in subject.design.database.publications:
        if not _sends_changes(publication):
            continue
        for table in _published(subject, publication):
            nothing = table.replica_identity == "nothing"
            if nothing or (table.replica_identity == "default" and table.primary_key is None):
                why = "has REPLICA IDENTITY NOTHING" if nothing else "has no primary key"
                message = f"`{publication.name}` publishes changes of `{table.name}`, which {why}"
                remedy = alter(table, "REPLICA IDENTITY FULL")
                yield on_table(table, message, "primary_key:, or replica_identity: full", remedy=remedy)


def _sends_changes(publication: Publication) -> bool:
    events = dict(publication.options).get("publish", "update")
    return "update" in events or "delete" in events


def _published(subject: Subject, publication: Publication) -> Iterator[Table]:
    named = {part.table for part in publication.tables}
    for table in subject.tables:
        chosen = table.name in named or table.name.schema in publication.schemas
        if (publication.all_tables or chosen) and not table.unlogged:
            yield table


@rule(
    "publication-for-all-tables",
    "info",
    "Every table that will ever be made is published too, that of a test or with secrets included.",
)
def publication_for_all_tables(subject: Subject) -> Iterator[Hit]:
    for publication in subject.design.database.publications:
        if publication.all_tables:
            message = f"`{publication.name}` publishes all tables"
            name = identifier(publication.name)
            fix = "tables: or schemas: what the subscribers need"
            remedy = f"a publication of the tables that subscribers need, then `DROP PUBLICATION {name};`"
            yield on_object("publications", publication.name, message, fix, remedy)


@rule(
    "unlogged-table",
    "info",
    "A crash empties an unlogged table; it is on no replica and in no base backup.",
)
def unlogged_table(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if table.unlogged:
            message = f"`{table.name}` is unlogged: it is empty after a crash"
            yield on_table(table, message, "unlogged: false", remedy=alter(table, "SET LOGGED"))
