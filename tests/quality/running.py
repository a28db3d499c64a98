"""Checks of tests: a spec's text, run on a database."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.check import open_others, run_checks
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.postgres.quality.asking import reading
from data_platform.postgres.quality.history import measured_before
from data_platform.postgres.server import Database
from data_platform.spec import document, validate
from data_platform.spec.emit import emit
from data_platform.spec.quality import Quality, read_quality


def quality(*checks: Mapping[str, Any], **more: Any) -> Quality:
    """The spec of these checks, by way of its text, as a user writes it."""
    data = {
        "kind": "quality",
        "store": "Shop DB",
        "name": "q",
        **more,
        "checks": [dict(one) for one in checks],
    }
    read = document.parse(emit(data).encode(), "q.yaml")
    validate.check(read, "quality")
    return read_quality(read)


def judged(database: Database, *checks: Mapping[str, Any], others: Any = None, **more: Any) -> list[Verdict]:
    """Their verdicts."""
    spec = quality(*checks, **more)
    with ExitStack() as stack:
        session = stack.enter_context(reading(database.conninfo))
        before = measured_before(session, spec.history_schema, spec.name)
        there = open_others(
            spec.checks, stack, lambda dsn: stack.enter_context(reading((others or {})[dsn].conninfo))
        )
        return list(
            run_checks(session, spec.checks, Asked(spec.sensitive, before, there), lambda text, share: None)
        )


def failing(database: Database, *checks: Mapping[str, Any], **more: Any) -> list[Any]:
    """By check how many rows fail, or its state where it counts none."""
    return [
        one.failing if one.failing is not None and one.state != "not run" else one.state
        for one in judged(database, *checks, **more)
    ]
