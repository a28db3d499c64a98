"""Tables that refer to one another: in which order they go, and which foreign keys wait until all are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.postgres.synthetic.load import Connection
from data_platform.sql.text import identifier, qualified


@contextmanager
def deferred(connection: Connection, keys: Mapping[Name, Sequence[ForeignKey]]) -> Iterator[None]:
    """Put off these foreign keys to the end of the block, where they are checked. Needs a transaction.

    Only whether they can be deferred is changed for a while, so nothing else about them can get lost.
    """
    pairs = [(table, key) for table, several in keys.items() for key in several]
    for table, key in pairs:
        _alter(connection, table, key, "DEFERRABLE INITIALLY DEFERRED")
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in pairs:
        before = "DEFERRABLE " if key.deferral != "not deferrable" else ""
        _alter(connection, table, key, before + key.deferral.upper())


def _alter(connection: Connection, table: Name, key: ForeignKey, deferral: str) -> None:
    target = qualified(table.schema, table.name)
    connection.execute(f"ALTER TABLE {target} ALTER CONSTRAINT {identifier(key.name)} {deferral}")


def in_order(tables: Mapping[Name, Table], group: tuple[Name, ...]) -> list[Name]:
    """The group in an order in which few mandatory foreign keys point forward."""
    waiting, done = sorted(group), list[Name]()

    def burden(name: Name) -> tuple[int, int]:
        table = tables[name]
        ahead = [key for key in table.foreign_keys if key.target in waiting and key.target != name]
        mandatory = [key for key in ahead if not any(table.column(column).nullable for column in key.columns)]
        return len(mandatory), len(ahead)

    while waiting:
        best = min(waiting, key=lambda name: (burden(name), name))
        waiting.remove(best)
        done.append(best)
    return done


def closing_keys(tables: Sequence[Table]) -> dict[Name, list[ForeignKey]]:
    """The foreign keys of each table that point to a later one."""
    later = {table.name for table in tables}
    closing: dict[Name, list[ForeignKey]] = {}
    for table in tables:
        later.discard(table.name)
        closing[table.name] = [key for key in table.foreign_keys if key.target in later]
    return closing
