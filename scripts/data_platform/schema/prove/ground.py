"""What a stage stands on: a session of its own, the catalog, rows that can be made, and what can be switched off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from data_platform.model.database import Database, Name, Role, Table
from data_platform.postgres.filling.aside import Switch
from data_platform.postgres.synthetic import Generator
from data_platform.schema.prove.sessions import Connection


@dataclass(frozen=True)
class Ground:
    """For one stage; `connection` is the scratch owner's, in autocommit."""

    connection: Connection
    database: Database
    generator: Generator
    switches: tuple[Switch, ...]
    search_path: tuple[str, ...]

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """The roles of the design that a session can take here."""
        query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND pg_has_role(current_user, oid, 'MEMBER')"
        names = [role.name for role in self.database.roles]
        there = {name for (name,) in self.connection.execute(query, [names])} if names else set()
        return {role.name: role for role in self.database.roles if role.name in there}

    @cached_property
    def partitions(self) -> Mapping[Name, tuple[Table, ...]]:
        """The partitions right below each partitioned table."""
        found: dict[Name, tuple[Table, ...]] = {}
        for table in self.database.tables:
            if table.partition_of:
                found[table.partition_of.table] = (*found.get(table.partition_of.table, ()), table)
        return found

    def below(self, table: Name) -> Iterator[Table]:
        """All partitions below a table, at whatever depth."""
        for child in self.partitions.get(table, ()):
            yield child
            yield from self.below(child.name)

    def root(self, table: Name) -> Name:
        """The partitioned table at the top, or the table itself."""
        above = self.database.table(table).partition_of
        return self.root(above.table) if above else table

    @property
    def unforced(self) -> tuple[str, ...]:
        """Statements after which the owner of a table sees all of it."""
        return tuple(switch.off for switch in self.switches if switch.kind == "forced")

    def inherited(self, role: str) -> frozenset[str]:
        """The role and all that it has the privileges of without SET ROLE; public is one of them."""
        reached, waiting = {"public"}, [role]
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            known = next((role for role in self.database.roles if role.name == name), None)
            if known is not None and known.inherit:
                waiting += known.member_of
        return frozenset(reached)
