"""Findings for machines: SARIF 2.1.0, and the annotations of GitHub's workflows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from data_platform.migration.lint.rules import OF_FILES, RULES
from data_platform.migration.references import reference
from data_platform.report.finding import Finding, Severity

_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """One run with the rules and what they found, as SARIF 2.1.0 has it."""
    rules = _rules()
    positions = {rule["id"]: position for position, rule in enumerate(rules)}
    driver = {"name": "dpe migration lint", "version": version, "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, positions) for finding in findings],
            }
        ],
    }


def _rules() -> list[dict[str, Any]]:
    declared = [(rule.name, rule.reason, rule.severity) for rule in RULES]
    of_files: list[tuple[str, str, Severity]] = [(name, reason, "info") for name, reason in OF_FILES.items()]
    return [
        {
            "id": name,
            "shortDescription": {"text": name.replace("-", " ")},
            "fullDescription": {"text": reason},
            "help": {"text": f"{reason} See {reference(name)}."},
            "defaultConfiguration": {"level": _LEVELS[severity]},
        }
        for name, reason, severity in [*declared, *of_files]
    ]


def _result(finding: Finding, positions: dict[str, int]) -> dict[str, Any]:
    region = {"startLine": finding.line or 1, "startColumn": finding.column or 1}
    location = {"artifactLocation": {"uri": _uri(finding.file or "")}, "region": region}
    text = finding.message if finding.fix is None else f"{finding.message}\n\nInstead:\n{finding.fix}"
    return {
        "ruleId": finding.rule,
        "ruleIndex": positions[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
        "properties": {"evidence": finding.evidence, "object": finding.object},
    }


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def workflow_annotations(findings: Iterable[Finding]) -> str:
    """One line a finding, as a workflow's log takes it for an annotation."""
    return "".join(f"{_annotation(finding)}\n" for finding in findings)


def _annotation(finding: Finding) -> str:
    place = f"file={_property(finding.file or '')},line={finding.line or 1},col={finding.column or 1}"
    text = finding.message if finding.fix is None else f"{finding.message}\nInstead:\n{finding.fix}"
    return f"::{_COMMANDS[finding.severity]} {place},title={_property(finding.rule)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
