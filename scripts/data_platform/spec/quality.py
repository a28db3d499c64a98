"""Specs of kind `quality`: what must hold of the rows of a store."""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.report.finding import Finding
from data_platform.spec.checks import Check, read_checks
from data_platform.spec.document import Document, SpecProblem
from data_platform.sql.text import NotSql, check_identifier


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A quality spec, typed. `sensitive` are columns, of any table, whose values nobody is shown."""

    store: str
    name: str
    checks: tuple[Check, ...]
    history_schema: str = "dpe_quality"
    sensitive: frozenset[str] = frozenset()
    file: str = ""
    sha256: str = ""


def read_quality(document: Document) -> Quality:
    """The spec in a document that agrees with the schema of kind `quality`. SpecProblem with every mistake."""
    data = document.data
    findings: list[Finding] = []
    schema = data.get("history_schema", Quality.history_schema)
    try:
        check_identifier(schema)
    except NotSql as problem:
        findings.append(
            document.error(("history_schema",), "spec-name", f"`{schema}`: {problem}", "dpe_quality")
        )
    read = Quality(
        store=data["store"],
        name=data["name"],
        checks=read_checks(document, findings.append),
        history_schema=schema,
        sensitive=frozenset(data.get("sensitive", ())),
        file=document.file,
        sha256=document.sha256,
    )
    if findings:
        raise SpecProblem(tuple(findings))
    return read
