"""Triggers that carry tenants' rows into tables that no policy guards, such as a log of all changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_platform.model.database import Name, Table
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.promises import COPIED, of_table
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Identity, tried
from data_platform.schema.prove.subjects import Subject
from data_platform.schema.prove.tenancy import Tenancy
from data_platform.schema.prove.triggers import written_by
from data_platform.sql.text import qualified_name


def copies(ground: Ground, read: Tenancy, everybody: Sequence[Subject]) -> Iterator[Claim]:
    """For each trigger of a guarded table, each table without row-level security that it writes to."""
    copier = _Copier(ground, read, tuple(subject for subject in everybody if not subject.made))
    for guard in read.guarded:
        yield from copier.claims(guard.table)


@dataclass(frozen=True)
class _Copier:
    ground: Ground
    read: Tenancy
    subjects: Sequence[Subject]

    def claims(self, table: Table) -> Iterator[Claim]:
        written: dict[Name, list[str]] = {}
        for trigger in table.triggers:
            for target in self._open(written_by(self.ground, table, trigger)):
                written.setdefault(target, []).append(f"`{trigger.name}`")
        for target in sorted(written):
            yield self._judged(table, f"{', '.join(written[target])} writes to `{target}`", target)

    def _open(self, written: frozenset[Name]) -> set[Name]:
        """Of the tables written to, those that every reader sees whole and that nothing else is said about."""
        forgotten = {table.name for table in self.read.forgotten(self.ground.database)}
        roots = {self.ground.root(name) for name in written}
        off = {table.name for table in self.ground.database.tables if table.row_security == "off"}
        return (roots & off) - forgotten

    def _judged(self, table: Table, told: str, target: Name) -> Claim:
        if not self.subjects:
            told = f"{told}, and the model has no role that tenants use"
            return of_table(table, COPIED, Subject(None), "not checked", told)
        query = f"SELECT FROM {qualified_name(target)} LIMIT 1"
        for subject in self.subjects:
            if not tried(self.ground.connection, Identity(subject.role), query).denied:
                told = f"{told}, which has no row-level security: every row is visible"
                return of_table(table, COPIED, subject, "failed", told)
        return of_table(table, COPIED, self.subjects[0], "proven", f"{told}, which it may not read")
