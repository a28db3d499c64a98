"""The protocol's words, to the letter."""

from __future__ import annotations

import json

import pytest

from data_platform.cli import main
from data_platform.scope import check

from .conftest import Project
from .samples import STORES

REFUSAL = """\
[DATA_PLATFORM_ENGINEER] - I cannot proceed with this request.

This project does not have scope boundaries defined in its claude.md file.
Until we know our scopes and boundaries, I cannot help you.

To proceed, please define a Project Scope section in this project's claude.md.
See `_shared/references/project-scope-template.md` for a template.

Would you like me to help you set up the Project Scope section first?
"""
ROUTING = """\
[DATA_PLATFORM_ENGINEER] - This request involves [defining requirements / architecture decisions].
Routing to [TPO / Solutions Architect] for proper handling...
"""
SET_UP = """\
I notice this project doesn't have scope boundaries defined in claude.md yet.

Before I design data architecture, I need to understand:

1. **What data domains exist?** (Customer DB, Billing DB, Analytics DW, etc.)
2. **Which data stores do I own?** (e.g., "You own Customer PostgreSQL and Analytics DW")
3. **Linear context?** (Which Team/Project for issues?)

Would you like me to help set up a Project Scope section in claude.md?
"""
USAGE = (
    "[DATA_PLATFORM_ENGINEER] - 📊 Using Data Platform Engineer skill - "
    "designing data infrastructure and retrieval patterns.\n"
)
PREFIX = "[DATA_PLATFORM_ENGINEER] - "


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["scope", "message", *arguments]) == 0
    return capsys.readouterr().out


def test_fixed_messages(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "refusal") == REFUSAL
    assert said(capsys, "routing") == ROUTING
    assert said(capsys, "usage") == USAGE
    assert said(capsys, "set-up") == PREFIX + SET_UP, (
        "the seed's block, with the prefix that every message has"
    )


def test_the_refusal_is_the_answer_to_a_project_without_a_scope(project: Project) -> None:
    assert check(project()).message + "\n" == REFUSAL


def test_routing_filled(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "routing", "--matter", "defining requirements", "--to", "TPO")
    assert shown == (
        f"{PREFIX}This request involves defining requirements.\nRouting to TPO for proper handling...\n"
    )


def test_activation(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "activation", "--request", "add a\ntable\x1b[0m $request")
    lines = shown.splitlines()
    assert lines[0] == f"{PREFIX}⚠️ ROLE ACTIVATION REQUESTED"
    assert "**Request**: add a table [0m $request" in lines
    for choice in ("✅ **CONFIRM**", "🔄 **ROUTE**", "❌ **CANCEL**"):
        assert choice in shown
    assert lines[-1] == "Waiting for your confirmation..."


def test_dependency_is_filled_from_options_and_scope(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(project(STORES))
    base = ["scope", "dependency", "--project", root, "--theirs", "billing"]
    assert (
        main(
            [
                *base,
                "--context",
                "revenue report",
                "--data",
                "invoices",
                "--pattern",
                "CDC",
                "--question",
                "When?",
            ]
        )
        == 0
    )
    assert (
        capsys.readouterr().out
        == """\
## Data Dependency

**From**: Data Platform Engineer (Data Pipeline, Customer DB (PostgreSQL), Analytics DW)
**To**: Data Platform Engineer (billing), owner: Data Platform Engineer (Billing), Billing Team
**Project**: Storefront

### Your Data Context
revenue report

### Required Data
invoices

### Integration Pattern
CDC

### Questions
1. When?
"""
    )
    assert main([*base, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["open"] == ["context", "data", "pattern", "questions"]
    assert "[API? CDC? Batch export? Shared view?]" in result["text"]
    assert "2. [What's the access pattern?]" in result["text"]


def test_dependency_needs_no_scope(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scope", "dependency", "--project", str(project()), "--theirs", "Billing DB"]) == 0
    shown = capsys.readouterr().out
    assert "**From**: Data Platform Engineer (Your Data Stores)" in shown
    assert "**To**: Data Platform Engineer (Billing DB) or Data Owner" in shown
    assert "**Project**: [Project Name]" in shown


def test_dependency_to_a_file(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(STORES)
    command = [
        "scope",
        "dependency",
        "--project",
        str(root),
        "--theirs",
        "x",
        "--output",
        str(root / "a" / "need.md"),
    ]
    assert main(command) == 0
    assert (root / "a" / "need.md").read_text().startswith("## Data Dependency")
    assert "Wrote" in capsys.readouterr().out
