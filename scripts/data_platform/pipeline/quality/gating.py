"""Checks of a pipeline within the transaction of a unit: rows set aside, the run stopped, or a warning."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.check import run_checks
from data_platform.pipeline.quality.predicates import rule
from data_platform.pipeline.quality.verdicts import Verdict, summary
from data_platform.postgres.pipelines.merging import set_aside
from data_platform.postgres.pipelines.relations import Rule, temporary
from data_platform.postgres.pipelines.staging import is_json_type
from data_platform.postgres.pipelines.state import State
from data_platform.spec.checks import Check
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import Sql, identifier

_TAKEN_BACK = "nothing of this unit was kept"


class CheckFails(UsageProblem):
    """A check with `action: fail` does not hold."""


def has_staged(spec: Pipeline, name: str) -> bool:
    """Whether rows of this source or transform are looked at before they are written."""
    return any(check.staged == name for check in spec.checks)


def look_at_staged(spec: Pipeline, state: State, name: str, unit: str) -> tuple[int, tuple[Verdict, ...]]:
    """Rows of a staged source or transform that are bad go into quarantine; how many, and what else is to be told.

    CheckFails, which takes the transaction back, where a check with `action: fail` fails.
    """
    own = [check for check in spec.checks if check.staged == name]
    aside = [check for check in own if check.action == "quarantine"]
    raw = any(one.name == name and not one.is_json for one in spec.sources)
    count = _set_aside(state, name, unit, aside, json_as_text=raw) if aside else 0
    return count, _held(spec, state, [check for check in own if check.action != "quarantine"])


def look_at_target(
    spec: Pipeline, state: State, table: Name, *, left: str = _TAKEN_BACK
) -> tuple[Verdict, ...]:
    """The target as the transaction leaves it. Raises as `look_at_staged` does; `left` says what is left then."""
    own = [check for check in spec.checks if check.staged is None and check.table == table]
    return _held(spec, state, own, left)


def look_at_schema(spec: Pipeline, state: State, schema: str) -> tuple[Verdict, ...]:
    """The same of all tables of a schema, which a read model is."""
    return _held(spec, state, checks_of(spec, schema))


def checks_of(spec: Pipeline, schema: str) -> list[Check]:
    """Those on tables of a schema."""
    return [check for check in spec.checks if check.staged is None and check.table.schema == schema]


def _set_aside(state: State, name: str, unit: str, checks: Sequence[Check], *, json_as_text: bool) -> int:
    columns = temporary(state.connection, name).columns
    server = state.connection.info.server_version // 10_000
    rules = [Rule(f"check {check.name}", rule(check, columns, server)) for check in checks]
    texts = [column for column, type_ in columns.items() if json_as_text and is_json_type(type_)]
    return set_aside(state, name, unit, Sql(f"pg_temp.{identifier(name)}"), rules, as_text=texts)


def _held(
    spec: Pipeline, state: State, checks: Sequence[Check], left: str = _TAKEN_BACK
) -> tuple[Verdict, ...]:
    """What does not hold and may; CheckFails for what may not."""
    if not checks:
        return ()
    sensitive = frozenset(name for source in spec.sources for name in source.sensitive)
    found = run_checks(state.connection, checks, Asked(sensitive, samples=0), lambda text, share: None)
    wrong = tuple(one for one in found if not one.good)
    stopping = [one for one in wrong if one.check.action == "fail" or one.state == "not run"]
    if stopping:
        more = f", and {len(stopping) - 1} more" if len(stopping) > 1 else ""
        first = stopping[0]
        others = "`action: quarantine` or `warn`" if first.check.staged else "`action: warn`"
        raise CheckFails(
            f"the check `{first.check.name}` does not hold: {summary(first)}{more}; {left}",
            where=f"{spec.file}:{first.check.line}",
            try_=f"mend the rows; or {others}",
        )
    return wrong
