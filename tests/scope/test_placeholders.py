"""What is still the template, and what only looks like it."""

from __future__ import annotations

import pytest

from data_platform.scope import check

from .conftest import Project
from .samples import BULLETS, TABLES


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("`platform`", "`[team-slug]`"),
        ("`platform`", "[e.g., platform]"),
        ("`github`", "`linear` / `github` / `none`"),
        ("`github`", "linear/github/none"),
        ("`github`", r"`linear` \| `github` \| `none`"),
        ("`github`", "`linear` | `github` | `none`"),
        ("Customer DB (PostgreSQL), Analytics DW", "[What they own]"),
        ("Customer DB (PostgreSQL), Analytics DW", "Customer DB, [other stores]"),
        ("Storefront", "[Project Name]"),
        ("| @data | Customer", "| @[person] | Customer"),
        ("Data Platform Engineer | @data | |", "[Role] | [Name] | [Notes] |"),
        ("| not ours |", "| [e.g., shared] |"),
    ],
)
def test_an_unedited_value(project: Project, before: str, after: str) -> None:
    text = TABLES.replace(before, after, 1)
    decision = check(project(text), "Customer DB")
    assert (decision.verdict, decision.exit_code) == ("placeholders", 4)
    line = text.splitlines()[decision.line - 1] if decision.line else ""
    assert after in line
    assert decision.details["placeholders"][0]["line"] == decision.line
    assert f"line {decision.line}" in decision.message


@pytest.mark.parametrize(
    "bullet",
    [
        "- **Ticket System**: `linear` / `github` / `none`",
        "- [Domain]: [Role] @[owner]",
        "- Orders: Data Platform Engineer [name]",
        "[Describe the project here]",
    ],
)
def test_an_unedited_bullet_or_paragraph(project: Project, bullet: str) -> None:
    assert check(project(f"{BULLETS}\n{bullet}\n")).verdict == "placeholders"


@pytest.mark.parametrize(
    "value",
    [
        "[guide](docs/guide.md)", "[guide][ref]", "see [RFC 7] for the rest", "[x] done", "[ ] open", "![logo](a.png)",
        "int[] and text[3]", "note[^1]", r"\[literal\]", "Customer DB [PostgreSQL]", "linear / github", "[known]",
        "one of linear / github / none", "a [ b",
    ],
)  # fmt: skip
def test_what_is_no_placeholder(project: Project, value: str) -> None:
    for text in (
        TABLES.replace("| not ours |", f"| {value} |"),
        f"{BULLETS}- Note: {value}\n",
        f"{BULLETS}- {value}\n",
    ):
        if value.startswith("see") and "- " + value in text:
            continue
        assert check(project(text + "\n[known]: https://example.org\n")).verdict == "defined", text


def test_brackets_outside_the_section_mean_nothing(project: Project) -> None:
    assert check(project(f"# [Title]\n- [a]: [b]\n\n{TABLES}\n## Other\n- [c]: [d]\n")).verdict == "defined"


def test_all_are_listed_up_to_a_limit(project: Project) -> None:
    rows = "".join(f"- Domain {number}: [owner {number}]\n" for number in range(500))
    decision = check(project(f"## Project Scope\n### Domain Ownership\n{rows}"))
    assert len(decision.details["placeholders"]) == 20
    assert "and more" in decision.message
