"""Guarded tables whose policies look the tenant up in another table, and tables that were forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Name
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.promises import GUARDED, OWN, TOUCHED, of_table, without_references
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.samples import Sample
from data_platform.schema.prove.sessions import Identity, tried
from data_platform.schema.prove.subjects import Subject
from data_platform.schema.prove.tenancy import Guarded, Tenancy
from data_platform.sql.text import qualified_name


@dataclass(frozen=True)
class Elsewhere:
    """Tables without a tenant column of their own, or without policies."""

    ground: Ground
    read: Tenancy

    def indirect(self, guard: Guarded, subject: Subject, samples: Mapping[Name, Sample]) -> Iterator[Claim]:
        if guard.compared:
            told = "rows of two tenants are needed, and the table does not have them"
            yield of_table(guard.table, OWN, subject, "not checked", told)
            return
        tenants = self._tenants(guard, samples)
        seen = [self._seen(guard, subject, settings) for settings in tenants[:10]]
        seen = [rows for rows in seen if rows]
        if len(seen) < 2:
            told = "no two tenants were found that see rows of it"
            yield of_table(guard.table, OWN, subject, "failed" if not seen else "not checked", told)
        elif seen[0] & seen[1]:
            told = f"{len(seen[0] & seen[1]):,} rows are visible to two tenants"
            yield of_table(guard.table, OWN, subject, "failed", told)
        else:
            told = f"two tenants see {len(seen[0]):,} and {len(seen[1]):,} rows, none of them both"
            yield of_table(guard.table, OWN, subject, "proven", told)
            yield self._indirect_delete(guard, subject, tenants, len(seen[0]))

    def _tenants(self, guard: Guarded, samples: Mapping[Name, Sample]) -> list[Mapping[str, str]]:
        """Settings of tenants that have rows elsewhere, for the settings that this table reads."""
        for sample in samples.values():
            if sample.compared.setting in guard.settings:
                query = (
                    f"SELECT {sample.column} FROM {qualified_name(sample.name)}"  # noqa: S608 - quoted names
                    f" GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 10"
                )
                with self.ground.connection.transaction(force_rollback=True):
                    for statement in self.ground.unforced:
                        self.ground.connection.execute(statement.encode())
                    values = [row[0] for row in self.ground.connection.execute(query.encode())]
                return [
                    {sample.compared.setting: value} for value in dict.fromkeys((sample.a, sample.b, *values))
                ]
        return []

    def _seen(self, guard: Guarded, subject: Subject, settings: Mapping[str, str]) -> frozenset[Any]:
        query = f"SELECT tableoid, ctid::text FROM {qualified_name(guard.table.name)}"  # noqa: S608 - a quoted name
        return frozenset(tried(self.ground.connection, Identity(subject.role, settings), query).rows)

    def _indirect_delete(
        self, guard: Guarded, subject: Subject, tenants: Sequence[Mapping[str, str]], own: int
    ) -> Claim:
        table = qualified_name(guard.table.name)
        settings = next(s for s in tenants if len(self._seen(guard, subject, s)) == own)
        total = f"SELECT count(*) FROM {table}"  # noqa: S608 - a quoted name
        before = tried(self.ground.connection, Identity(), total, prepare=self.ground.unforced)
        deleted = tried(
            self.ground.connection,
            Identity(subject.role, settings),
            f"DELETE FROM {table}",  # noqa: S608 - a quoted name
            look=(*self.ground.unforced, total),
            prepare=tuple(without_references(self.ground.database, guard.table.name)),
        )
        if deleted.sqlstate is None and deleted.after[0] < before.rows[0][0] - own:
            return of_table(
                guard.table, TOUCHED, subject, "failed", "DELETE without WHERE reaches rows of other tenants"
            )
        if deleted.sqlstate is not None and not deleted.denied:
            return of_table(
                guard.table, TOUCHED, subject, "not checked", f"refused, but by `{deleted.message}`"
            )
        return of_table(
            guard.table, TOUCHED, subject, "proven", "DELETE without WHERE left them as they were"
        )

    def forgotten(self, everybody: Sequence[Subject]) -> Iterator[Claim]:
        roles = [subject.role for subject in everybody if not subject.made and not subject.is_owner]
        for table in self.read.forgotten(self.ground.database):
            query = f"SELECT 1 FROM {qualified_name(table.name)} LIMIT 1"  # noqa: S608 - a quoted name
            readers = [
                role for role in roles if not tried(self.ground.connection, Identity(role), query).denied
            ]
            if roles and not readers:
                told = "it has no row-level security, and no role that tenants use may read it"
                yield of_table(table, GUARDED, Subject(roles[0]), "proven", told)
            else:
                told = "it has the column that tells tenants apart, and no row-level security: every row is visible"
                yield of_table(table, GUARDED, Subject(readers[0] if readers else None), "failed", told)
