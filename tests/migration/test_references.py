"""Findings name a section of the references, and the section is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from data_platform.migration.lint.rules import OF_FILES, RULES
from data_platform.migration.references import PLACES, reference

ROOT = Path(__file__).parents[2]
MIGRATION = ROOT / "scripts" / "data_platform" / "migration"


def anchors(path: Path) -> set[str]:
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    titles = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def rules_of_prove() -> set[str]:
    tree = ast.parse((MIGRATION / "prove" / "answer.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [call.args[0] for call in calls if getattr(call.func, "id", "") == "_finding"]
    return {str(name.value) for name in named if isinstance(name, ast.Constant)}


@pytest.mark.parametrize("rule", PLACES)
def test_the_section_is_there(rule: str) -> None:
    path, _, anchor = (reference(rule) or "").partition("#")
    assert anchor in anchors(ROOT / path)


def test_every_rule_has_its_section() -> None:
    named = {rule.name for rule in RULES} | set(OF_FILES) | rules_of_prove()
    assert rules_of_prove()
    assert named <= set(PLACES)


def test_an_unknown_rule_has_none() -> None:
    assert reference("no-such-rule") is None
