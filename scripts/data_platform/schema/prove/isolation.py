"""Tenant isolation, tried on every table: as a tenant, as nobody, and against another tenant's rows.

Whatever is written is taken back. What a tenant should see is counted by the owner while row-level security is set
aside; what it does see, by a session that is subject to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from data_platform.model.database import Name
from data_platform.report.document import State
from data_platform.schema.prove.attempts import insert_sql
from data_platform.schema.prove.copies import copies
from data_platform.schema.prove.elsewhere import Elsewhere
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.holdings import Holdings
from data_platform.schema.prove.interference import Asking, noninterference, without_setting
from data_platform.schema.prove.promises import (
    EMPTY,
    GUARDED,
    INSERTED,
    MOVED,
    OWN,
    REFERRED,
    TOUCHED,
    UNSET,
    of_table,
    without_references,
)
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.samples import Reference, Sample, samples
from data_platform.schema.prove.sessions import Identity, Outcome, nothing_stays, tried
from data_platform.schema.prove.subjects import Subject, Subjects
from data_platform.schema.prove.tenancy import Guarded, Tenancy, tenancy
from data_platform.sql.text import identifier, literal, qualified_name

FOREIGN_KEY, UNIQUE = "23503", "23505"
NO_ROWS = "the table is empty"


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

    @cached_property
    def rows(self) -> Mapping[Name, int]:
        return Holdings(self.ground, self.read).rows()

    def claims(self) -> Iterator[Claim]:
        """In this order: once a setting has had a value, a session never again has none."""
        known = samples(self.ground, self.read)
        everybody = self.subjects.all(self.read.guarded)
        elsewhere = Elsewhere(self.ground, self.read)
        yield from self._unset()
        yield from without_setting(self.ground, self.read, everybody)
        chosen: dict[str | None, Asking] = {}
        for guard in self.read.guarded:
            yield from self._guard(guard)
            sample = known.get(guard.table.name)
            for subject in self.subjects.of(guard):
                if not self.rows[guard.table.name]:
                    yield of_table(guard.table, OWN, subject, "not checked", NO_ROWS)
                elif sample is None:
                    yield from elsewhere.indirect(guard, subject, known)
                else:
                    settings = self._settings(sample, subject)
                    main = self.read.main
                    if main and sample.compared.setting == main.setting:
                        chosen.setdefault(subject.role, Asking(sample.a, settings))
                    yield from self._table(sample, subject, settings)
        yield from elsewhere.forgotten(everybody)
        yield from copies(self.ground, self.read, everybody)
        for subject in everybody:
            if subject.role in chosen:
                yield from noninterference(self.ground, self.read, subject, chosen[subject.role])

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
        if state == "proven" and not self.rows[guard.table.name]:
            state, detail = "not checked", NO_ROWS
        return of_table(guard.table, claim, subject, state, detail)

    # --- one table ---

    def _guard(self, guard: Guarded) -> Iterator[Claim]:
        subjects = self.subjects.of(guard)
        if not subjects:
            told = "no role is subject to its policies, and none can be made on this server"
            yield of_table(guard.table, OWN, Subject(None), "not checked", told)
        if guard.table.row_security != "forced" and all(subject.made for subject in subjects):
            told = (
                "its owner sees every row: row-level security is not forced, and the model has no other role "
                "that reads it"
            )
            yield of_table(guard.table, GUARDED, Subject(guard.table.owner), "failed", told)

    def _settings(self, sample: Sample, subject: Subject) -> Mapping[str, str]:
        """The way of being A under which something is visible."""
        query = f"SELECT 1 FROM {qualified_name(sample.name)} LIMIT 1"  # noqa: S608 - a quoted name
        for settings in sample.settings:
            if tried(self.ground.connection, Identity(subject.role, settings), query).rows:
                return settings
        return sample.settings[0]

    def _table(self, sample: Sample, subject: Subject, settings: Mapping[str, str]) -> Iterator[Claim]:
        identity = Identity(subject.role, settings)
        table = sample.guard.table

        def claim(text: str, judged: tuple[State, str]) -> Claim:
            return of_table(table, text, subject, *judged)

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

    def _written(
        self, identity: Identity, sql: str, *, look: Sequence[str], prepare: Sequence[str] = ()
    ) -> Outcome:
        """A statement that writes; where a trigger refuses it, once more with triggers set aside: policies matter."""
        outcome = tried(self.ground.connection, identity, sql, look=look, prepare=prepare)
        if outcome.sqlstate is None or outcome.denied or not outcome.context:
            return outcome
        silent = [switch.off for switch in self.ground.switches if switch.kind == "triggers"]
        return tried(self.ground.connection, identity, sql, look=look, prepare=(*prepare, *silent))

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
                f"SELECT 1 FROM {qualified_name(partition.name)}"  # noqa: S608 - quoted names, a literal
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
            sql = insert_sql(sample.guard.table, row)
            return self._refused(self._written(identity, sql, look=("SELECT 1",)))
        outcome = self._written(
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
        outcome = self._written(identity, sql, look=look)
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
        updated = self._written(identity, f"UPDATE {table} SET {own}", look=look)  # noqa: S608
        if updated.sqlstate == UNIQUE or (updated.sqlstate is None and updated.after[0] > sample.rows_of_a):
            return "failed", "UPDATE without WHERE reaches rows of other tenants"
        others = f"SELECT count(*) FROM {table} WHERE {sample.column} <> {literal(sample.a)}"  # noqa: S608
        deleted = self._written(
            identity,
            f"DELETE FROM {table}",  # noqa: S608 - a quoted name
            look=(*self.ground.unforced, others),
            prepare=tuple(without_references(self.ground.database, sample.name)),
        )
        if deleted.sqlstate is None and deleted.after[0] < sample.total - sample.rows_of_a:
            return "failed", "DELETE without WHERE reaches rows of other tenants"
        for outcome in (updated, deleted):
            if outcome.sqlstate is not None and not outcome.denied:
                return "not checked", f"refused, but by `{outcome.message}`"
        return "proven", "UPDATE and DELETE without WHERE left them as they were"

    def _referred(self, sample: Sample, subject: Subject, identity: Identity, reference: Reference) -> Claim:
        key, prepare = reference.key, []
        if reference.parent is not None:
            forced = [switch for switch in self.ground.switches if switch.kind != "rules"]
            prepare = [*(s.off for s in forced), reference.parent, *(s.on for s in forced)]
        sql = insert_sql(sample.guard.table, reference.row)
        outcome = self._written(identity, sql, look=("SELECT 1",), prepare=prepare)
        said = f"foreign key `{key.name}`: "
        claim = of_table(sample.guard.table, REFERRED, subject, "proven", "")
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


def _judged_nothing(outcome: Outcome) -> tuple[State, str]:
    if outcome.denied:
        return "not checked", f"the read fails: `{outcome.message}`"
    if outcome.sqlstate is not None:
        return "failed", f"an error instead of no rows: `{outcome.message}`"
    seen = outcome.rows[0][0]
    return ("failed", f"{seen:,} rows are visible") if seen else ("proven", "no rows")
