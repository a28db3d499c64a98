"""Tenant isolation, tried on every table: as a tenant, as nobody, and against another tenant's rows.

Whatever is written is taken back. What a tenant should see is counted by the owner while row-level security is set
aside; what it does see, by a session that is subject to it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.report.document import State
from data_platform.schema.prove.aside import switch_off
from data_platform.schema.prove.attempts import Row, insert_sql
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.interference import Tenants, noninterference, without_setting
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Identity, Outcome, nothing_stays, tried
from data_platform.schema.prove.subjects import Subject, Subjects
from data_platform.schema.prove.tenancy import Compared, Guarded, Tenancy, tenancy
from data_platform.sql.text import identifier, literal, qualified_name

UNSET = "without the setting nothing is visible"
EMPTY = "with an empty setting nothing is visible"
OWN = "a tenant sees its own rows only"
INSERTED = "no row is inserted for another tenant"
MOVED = "no row is moved to another tenant"
TOUCHED = "another tenant's rows are not changed or deleted"
REFERRED = "no row refers to another tenant's"
GUARDED = "row-level security holds for whoever uses it"

FOREIGN_KEY, UNIQUE = "23503", "23505"


@dataclass(frozen=True)
class Reference:
    """A row of A that refers to a row of B; `parent` makes that row where A has namesakes of all that are there."""

    key: ForeignKey
    row: Row
    parent: str | None = None


@dataclass(frozen=True)
class Sample:
    """Two tenants of a table: what A would set, what A has, and rows to try with."""

    guard: Guarded
    compared: Compared
    settings: tuple[Mapping[str, str], ...]
    """Ways to say that one is A: the value itself, or in a JSON object."""
    a: str
    b: str
    rows_of_a: int
    rows_of_b: int
    total: int
    stranger: Row | None
    """A valid row of B, or of somebody who is not A."""
    references: tuple[Reference, ...] = ()

    @property
    def name(self) -> Name:
        return self.guard.table.name

    @property
    def column(self) -> str:
        """The tenant column as text."""
        return f"{identifier(self.compared.column)}::text"


def isolation(ground: Ground) -> tuple[Claim, ...]:
    """Every table whose policies read a setting, and every view and function beside them."""
    read = tenancy(ground.database)
    if not read.guarded:
        return ()
    with nothing_stays(ground.connection):
        return tuple(_Prober(ground, read, Subjects(ground)).claims())


@dataclass(frozen=True)
class _Prober:
    ground: Ground
    read: Tenancy
    subjects: Subjects

    def claims(self) -> Iterator[Claim]:
        """In this order: once a setting has had a value, a session never again has none."""
        samples = self._samples()
        everybody = self.subjects.all(self.read.guarded)
        yield from self._unset()
        yield from without_setting(self.ground, self.read, everybody)
        chosen: dict[str | None, Tenants] = {}
        for guard in self.read.guarded:
            yield from self._guard(guard)
            sample = samples.get(guard.table.name)
            for subject in self.subjects.of(guard):
                if sample is None:
                    yield from self._indirect(guard, subject, samples)
                else:
                    settings = self._settings(sample, subject)
                    main = self.read.main
                    if main and sample.compared.setting == main.setting:
                        chosen.setdefault(subject.role, Tenants(sample.a, sample.b, settings))
                    yield from self._table(sample, subject, settings)
        yield from self._forgotten(everybody)
        for subject in everybody:
            if subject.role in chosen:
                yield from noninterference(self.ground, self.read, subject, chosen[subject.role])

    # --- what is known before anybody sets anything ---

    def _samples(self) -> dict[Name, Sample]:
        """With everything set aside: triggers would change the rows, and the owner must see all of them."""
        connection = self.ground.connection
        with connection.transaction(force_rollback=True):
            switch_off(connection, self.ground.switches)
            counts = {guard.table.name: self._counts(guard) for guard in self.read.guarded}
            spread = Counter(value for found in counts.values() for value in found)
            made = {
                guard.table.name: self._sample(guard, counts[guard.table.name], spread)
                for guard in self.read.guarded
            }
            samples = {name: sample for name, sample in made.items() if sample is not None}
            return {name: self._with_references(sample, samples) for name, sample in samples.items()}

    def _counts(self, guard: Guarded) -> dict[str, int]:
        compared = self.read.first(guard)
        if compared is None:
            return {}
        column = identifier(compared.column)
        query = (
            f"SELECT {column}::text, count(*) FROM {qualified_name(guard.table.name)}"  # noqa: S608 - quoted names
            f" WHERE {column} IS NOT NULL GROUP BY 1"
        )
        return dict(self.ground.connection.execute(query.encode()).fetchall())

    def _sample(self, guard: Guarded, counts: Mapping[str, int], spread: Mapping[str, int]) -> Sample | None:
        compared = self.read.first(guard)
        if compared is None or len(counts) < 2:
            return None
        a, b = sorted(counts, key=lambda value: (-spread[value], -counts[value], value))[:2]
        table = guard.table
        row = self.ground.generator.fresh(self.ground.connection, table.name, {compared.column: b})
        row = row or self.ground.generator.fresh(self.ground.connection, table.name)
        foreign = row is not None and row.get(compared.column) != a
        return Sample(
            guard=guard,
            compared=compared,
            settings=tuple(self._ways(guard, compared, a)),
            a=a,
            b=b,
            rows_of_a=counts[a],
            rows_of_b=counts[b],
            total=sum(counts.values()),
            stranger=row if foreign else None,
        )

    def _ways(self, guard: Guarded, compared: Compared, a: str) -> Iterator[Mapping[str, str]]:
        """Settings of one of A's rows, as they are and as an object with all keys that policies ask for."""
        columns = [pair for pair in guard.compared if pair.setting != compared.setting]
        values = {compared.setting: a}
        if columns:
            listed = ", ".join(f"{identifier(pair.column)}::text" for pair in columns)
            query = (
                f"SELECT {listed} FROM {qualified_name(guard.table.name)}"  # noqa: S608 - quoted names
                f" WHERE {identifier(compared.column)}::text = {literal(a)} LIMIT 1"
            )
            row = self.ground.connection.execute(query.encode()).fetchone() or ()
            values |= {
                pair.setting: value for pair, value in zip(columns, row, strict=False) if value is not None
            }
        yield values
        if self.read.json_keys:
            yield {
                setting: json.dumps(dict.fromkeys(self.read.json_keys, value))
                for setting, value in values.items()
            }

    def _with_references(self, sample: Sample, samples: Mapping[Name, Sample]) -> Sample:
        found = []
        for key in sample.guard.table.foreign_keys:
            target = samples.get(key.target)
            if target is None or key.columns == (sample.compared.column,) or not key.enforced:
                continue
            reference = self._reference(sample, key, target)
            if reference is not None:
                found.append(reference)
        return replace(sample, references=tuple(found))

    def _reference(self, sample: Sample, key: ForeignKey, target: Sample) -> Reference | None:
        column = sample.compared.column
        mine = self.ground.generator.fresh(self.ground.connection, sample.name, {column: sample.a})
        others = [name for name in key.target_columns if name != target.compared.column]
        if mine is None or not others:
            return None
        there, made = self._parent(sample, key, target, others), None
        if there is None:
            there = self._new_parent(target, others)
            made = insert_sql(target.guard.table, there) if there else None
        if there is None:
            return None
        pairs = zip(key.columns, key.target_columns, strict=True)
        taken = {name: there[referred] for name, referred in pairs if name != column}
        return Reference(key, {**mine, **taken}, made)

    def _parent(self, sample: Sample, key: ForeignKey, target: Sample, others: list[str]) -> Row | None:
        """The key of a row of somebody else that A has no namesake of."""
        listed = ", ".join(f"p.{identifier(name)}::text" for name in key.target_columns)
        same = " AND ".join(f"o.{identifier(name)} = p.{identifier(name)}" for name in others)
        table, a = qualified_name(target.name), literal(sample.a)
        query = (
            f"SELECT {listed} FROM {table} AS p WHERE p.{target.column} <> {a}"  # noqa: S608 - quoted names
            f" AND NOT EXISTS (SELECT FROM {table} AS o WHERE {same} AND o.{target.column} = {a}) LIMIT 1"
        )
        found = self.ground.connection.execute(query.encode()).fetchone()
        return dict(zip(key.target_columns, found, strict=True)) if found else None

    def _new_parent(self, target: Sample, others: list[str]) -> Row | None:
        """A row of B whose numbers are beyond all that are there."""
        row = self.ground.generator.fresh(
            self.ground.connection, target.name, {target.compared.column: target.b}
        )
        if row is None:
            return None
        beyond = {}
        for name in others:
            if target.guard.table.column(name).type in ("smallint", "integer", "bigint", "numeric"):
                query = f"SELECT (max({identifier(name)}) + 1000)::text FROM {qualified_name(target.name)}"  # noqa: S608
                beyond[name] = (self.ground.connection.execute(query.encode()).fetchone() or ("1",))[0]
        made = {**row, **beyond}
        return made if all(name in made for name in others) else None

    # --- without the setting, and with an empty one ---

    def _unset(self) -> Iterator[Claim]:
        guards = [(guard, subject) for guard in self.read.guarded for subject in self.subjects.of(guard)]
        for guard, subject in guards:
            yield self._nothing(guard, subject, UNSET, {})
        for guard, subject in guards:
            yield self._nothing(guard, subject, EMPTY, dict.fromkeys(guard.settings, ""))

    def _nothing(self, guard: Guarded, subject: Subject, claim: str, settings: Mapping[str, str]) -> Claim:
        query = f"SELECT count(*) FROM {qualified_name(guard.table.name)}"  # noqa: S608 - a quoted name
        outcome = tried(self.ground.connection, Identity(subject.role, settings), query)
        state, detail = _judged_nothing(outcome)
        return _claim(guard.table, claim, subject, state, detail)

    # --- one table ---

    def _guard(self, guard: Guarded) -> Iterator[Claim]:
        subjects = self.subjects.of(guard)
        if not subjects:
            told = "no role is subject to its policies, and none can be made on this server"
            yield _claim(guard.table, OWN, Subject(None), "not checked", told)
        if guard.table.row_security != "forced" and all(subject.made for subject in subjects):
            told = (
                "its owner sees every row: row-level security is not forced, and the model has no other role "
                "that reads it"
            )
            yield _claim(guard.table, GUARDED, Subject(guard.table.owner), "failed", told)

    def _settings(self, sample: Sample, subject: Subject) -> Mapping[str, str]:
        """The way of being A under which something is visible."""
        query = f"SELECT 1 FROM {qualified_name(sample.name)} LIMIT 1"
        for settings in sample.settings:
            if tried(self.ground.connection, Identity(subject.role, settings), query).rows:
                return settings
        return sample.settings[0]

    def _table(self, sample: Sample, subject: Subject, settings: Mapping[str, str]) -> Iterator[Claim]:
        identity = Identity(subject.role, settings)
        table = sample.guard.table

        def claim(text: str, judged: tuple[State, str]) -> Claim:
            return _claim(table, text, subject, *judged)

        own = claim(OWN, self._own(sample, identity))
        yield (
            replace(own, warning=self._open_partitions(sample, subject, identity))
            if own.state == "proven"
            else own
        )
        yield claim(INSERTED, self._inserted(sample, identity))
        yield claim(MOVED, self._moved(sample, identity))
        yield claim(TOUCHED, self._touched(sample, identity))
        for reference in sample.references:
            yield self._referred(sample, subject, identity, reference)

    def _own(self, sample: Sample, identity: Identity) -> tuple[State, str]:
        query = (
            f"SELECT count(*), count(*) FILTER (WHERE {sample.column} = {literal(sample.a)})"  # noqa: S608
            f" FROM {qualified_name(sample.name)}"
        )
        outcome = tried(self.ground.connection, identity, query)
        if outcome.sqlstate is not None:
            return ("not checked" if outcome.denied else "failed"), f"the read fails: `{outcome.message}`"
        seen, mine = outcome.rows[0]
        if seen > mine:
            return "failed", f"{seen - mine:,} rows of other tenants are visible beside {mine:,} of its own"
        if not mine:
            return "failed", f"it sees none of its {sample.rows_of_a:,} rows"
        if mine < sample.rows_of_a:
            return "proven", f"{mine:,} of its {sample.rows_of_a:,} rows and no other"
        return "proven", f"its {mine:,} rows of {sample.total:,}"

    def _open_partitions(self, sample: Sample, subject: Subject, identity: Identity) -> str | None:
        """Policies of a partitioned table do not hold for its partitions when they are read by their own names."""
        for partition in self.ground.below(sample.name):
            query = (
                f"SELECT 1 FROM {qualified_name(partition.name)}"
                f" WHERE {sample.column} <> {literal(sample.a)} LIMIT 1"
            )
            if tried(self.ground.connection, identity, query).rows:
                return f"the partition `{partition.name}` shows every tenant's rows to whoever reads it by its own name"
        return None

    def _inserted(self, sample: Sample, identity: Identity) -> tuple[State, str]:
        row = sample.stranger
        if row is None:
            return "not checked", "no valid row of another tenant could be made"
        theirs = row.get(sample.compared.column)
        if theirs is None:  # the server gives it a number of its own
            return self._refused(tried(self.ground.connection, identity, insert_sql(sample.guard.table, row)))
        outcome = tried(
            self.ground.connection,
            identity,
            insert_sql(sample.guard.table, row),
            look=(*self.ground.unforced, self._count(sample, theirs)),
        )
        before = sample.rows_of_b if theirs == sample.b else 0
        if outcome.sqlstate is None and outcome.after[0] <= before:
            return "proven", "the row became the tenant's own"
        return self._refused(outcome)

    def _moved(self, sample: Sample, identity: Identity) -> tuple[State, str]:
        sql = (
            f"UPDATE {qualified_name(sample.name)} SET {identifier(sample.compared.column)} = {literal(sample.b)}"  # noqa: S608
            f" WHERE {sample.column} = {literal(sample.a)}"
        )
        look = (*self.ground.unforced, self._count(sample, sample.b))
        outcome = tried(self.ground.connection, identity, sql, look=look)
        if outcome.sqlstate is None and outcome.after[0] <= sample.rows_of_b:
            return (
                "proven",
                "no row of its own can be changed" if not outcome.count else "the rows stayed its own",
            )
        return self._refused(outcome)

    def _touched(self, sample: Sample, identity: Identity) -> tuple[State, str]:
        """Without WHERE, so that no policy for SELECT stands before those for UPDATE and DELETE.

        For its own rows the UPDATE changes nothing, so a key that is broken is broken by somebody else's row.
        """
        table = qualified_name(sample.name)
        own = f"{identifier(sample.compared.column)} = {literal(sample.a)}"
        look = (*self.ground.unforced, self._count(sample, sample.a))
        updated = tried(self.ground.connection, identity, f"UPDATE {table} SET {own}", look=look)  # noqa: S608
        if updated.sqlstate == UNIQUE or (updated.sqlstate is None and updated.after[0] > sample.rows_of_a):
            return "failed", "UPDATE without WHERE reaches rows of other tenants"
        others = f"SELECT count(*) FROM {table} WHERE {sample.column} <> {literal(sample.a)}"  # noqa: S608
        deleted = tried(
            self.ground.connection,
            identity,
            f"DELETE FROM {table}",  # noqa: S608 - a quoted name
            look=(*self.ground.unforced, others),
            prepare=tuple(self._without_references(sample.name)),
        )
        if deleted.sqlstate is None and deleted.after[0] < sample.total - sample.rows_of_a:
            return "failed", "DELETE without WHERE reaches rows of other tenants"
        for outcome in (updated, deleted):
            if outcome.sqlstate is not None and not outcome.denied:
                return "not checked", f"refused, but by `{outcome.message}`"
        return "proven", "UPDATE and DELETE without WHERE left them as they were"

    def _without_references(self, name: Name) -> Iterator[str]:
        """Foreign keys to the table go, so that none of them is what keeps its rows."""
        for table in self.ground.database.tables:
            for key in table.foreign_keys:
                if key.target == name and table.holds_rows:
                    yield f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(key.name)}"

    def _referred(self, sample: Sample, subject: Subject, identity: Identity, reference: Reference) -> Claim:
        key, prepare = reference.key, []
        if reference.parent is not None:
            forced = [switch for switch in self.ground.switches if switch.kind != "rules"]
            prepare = [*(s.off for s in forced), reference.parent, *(s.on for s in forced)]
        sql = insert_sql(sample.guard.table, reference.row)
        outcome = tried(self.ground.connection, identity, sql, look=("SELECT 1",), prepare=prepare)
        said = f"foreign key `{key.name}`: "
        claim = _claim(sample.guard.table, REFERRED, subject, "proven", "")
        if outcome.sqlstate == FOREIGN_KEY or outcome.denied:
            return replace(claim, detail=f"{said}refused ({outcome.sqlstate})")
        if outcome.sqlstate is not None:
            return replace(claim, state="not checked", detail=f"{said}refused, but by `{outcome.message}`")
        if sample.compared.column in key.columns:
            return replace(claim, state="failed", detail=f"{said}accepted")
        told = f"{said}a row may refer to another tenant's, because the key does not hold `{sample.compared.column}`"
        return replace(claim, state="not checked", detail=told, warning=told)

    def _count(self, sample: Sample, tenant: str) -> str:
        return f"SELECT count(*) FROM {qualified_name(sample.name)} WHERE {sample.column} = {literal(tenant)}"  # noqa: S608

    def _refused(self, outcome: Outcome) -> tuple[State, str]:
        """Policies are looked at before keys and checks: a row that one of these refuses has passed them."""
        if outcome.sqlstate is None:
            return "failed", "accepted"
        if outcome.denied:
            return "proven", f"refused ({outcome.sqlstate})"
        if outcome.constraint is not None:
            return "failed", f"let through by the policies, and only refused by `{outcome.constraint}`"
        return "not checked", f"refused, but by `{outcome.message}`"

    # --- tables that look the tenant up elsewhere, and those that do not at all ---

    def _indirect(self, guard: Guarded, subject: Subject, samples: Mapping[Name, Sample]) -> Iterator[Claim]:
        if guard.compared:
            told = "rows of two tenants are needed, and the table does not have them"
            yield _claim(guard.table, OWN, subject, "not checked", told)
            return
        tenants = self._tenants(guard, samples)
        seen = [self._seen(guard, subject, settings) for settings in tenants[:10]]
        seen = [rows for rows in seen if rows]
        if len(seen) < 2:
            told = "no two tenants were found that see rows of it"
            yield _claim(guard.table, OWN, subject, "failed" if not seen else "not checked", told)
        elif seen[0] & seen[1]:
            told = f"{len(seen[0] & seen[1]):,} rows are visible to two tenants"
            yield _claim(guard.table, OWN, subject, "failed", told)
        else:
            told = f"two tenants see {len(seen[0]):,} and {len(seen[1]):,} rows, none of them both"
            yield _claim(guard.table, OWN, subject, "proven", told)
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
            prepare=tuple(self._without_references(guard.table.name)),
        )
        if deleted.sqlstate is None and deleted.after[0] < before.rows[0][0] - own:
            return _claim(
                guard.table, TOUCHED, subject, "failed", "DELETE without WHERE reaches rows of other tenants"
            )
        if deleted.sqlstate is not None and not deleted.denied:
            return _claim(
                guard.table, TOUCHED, subject, "not checked", f"refused, but by `{deleted.message}`"
            )
        return _claim(guard.table, TOUCHED, subject, "proven", "DELETE without WHERE left them as they were")

    def _forgotten(self, everybody: Sequence[Subject]) -> Iterator[Claim]:
        roles = [subject.role for subject in everybody if not subject.made and not subject.is_owner]
        for table in self.read.forgotten(self.ground.database):
            query = f"SELECT 1 FROM {qualified_name(table.name)} LIMIT 1"
            readers = [
                role for role in roles if not tried(self.ground.connection, Identity(role), query).denied
            ]
            if roles and not readers:
                told = "it has no row-level security, and no role that tenants use may read it"
                yield _claim(table, GUARDED, Subject(roles[0]), "proven", told)
            else:
                told = "it has the column that tells tenants apart, and no row-level security: every row is visible"
                yield _claim(table, GUARDED, Subject(readers[0] if readers else None), "failed", told)


def _judged_nothing(outcome: Outcome) -> tuple[State, str]:
    if outcome.denied:
        return "not checked", f"the read fails: `{outcome.message}`"
    if outcome.sqlstate is not None:
        return "failed", f"an error instead of no rows: `{outcome.message}`"
    seen = outcome.rows[0][0]
    return ("failed", f"{seen:,} rows are visible") if seen else ("proven", "no rows")


def _claim(table: Table, claim: str, subject: Subject, state: State, detail: str) -> Claim:
    return Claim(
        kind="table",
        object=str(table.name),
        claim=claim,
        state=state,
        detail=detail,
        table=table.name,
        role="a role made for it" if subject.made else subject.role,
    )
