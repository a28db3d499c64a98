"""The floors: imports go down only, capabilities do not know each other, the gate stands apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scripts" / "data_platform"

CAPABILITIES = ("schema", "storage", "migration", "retrieval", "pipeline")
FLOORS = (("cli",), CAPABILITIES, ("spec", "postgres", "qdrant", "ddl"), ("model", "sql"), ("report",))
"""From the top; a room may import its own floor's modules only if they are its own, and anything below."""
APART = ("scope", "environment")
EVERYWHERE = ("errors", "record", "resources", "__init__", "")
"""Modules beside the rooms, which anything may import; all of them standard library only."""
TOUCH_A_SERVER = ("psycopg.connect", "psycopg.Connection")


def floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports(tree: ast.AST) -> Iterator[str]:
    """Rooms of ours that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [node.module]
                if node.module != "data_platform"
                else [f"data_platform.{a.name}" for a in node.names]
            )
        for name in names:
            parts = name.split(".")
            if parts[0] == "data_platform":
                yield parts[1] if len(parts) > 1 else ""


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def violations(room: str, tree: ast.AST) -> list[str]:
    wrong = []
    for imported in imports(tree):
        if imported in (room, *EVERYWHERE) or imported.startswith("__"):
            continue
        if room in APART:
            wrong.append(f"{room} stands apart but imports {imported}")
        elif imported in APART:
            if room != "cli":
                wrong.append(f"{room} imports {imported}: only cli asks the gate")
        elif floor(imported) < floor(room):
            wrong.append(f"{room} imports {imported}, which is above it")
        elif floor(imported) == floor(room) and room in CAPABILITIES:
            wrong.append(f"the capability {room} imports the capability {imported}")
    return wrong


def modules() -> list[tuple[str, Path]]:
    return [
        (p.relative_to(PACKAGE).parts[0], p) for p in sorted(PACKAGE.rglob("*.py")) if p.parent != PACKAGE
    ]


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda v: str(v) if isinstance(v, str) else v.stem)
def test_imports_go_down_only(room: str, path: Path) -> None:
    assert violations(room, tree_of(path)) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "from data_platform.spec import document"),
        ("report", "import data_platform.model.database"),
        ("scope", "from data_platform.report.finding import Finding"),
        ("schema", "def f():\n    from data_platform.cli import main"),
        ("postgres", "from data_platform.scope.decision import check"),
    ],
)
def test_the_rule_sees_a_broken_one(room: str, source: str) -> None:
    assert violations(room, ast.parse(source))


def test_only_postgres_and_proofs_touch_a_server() -> None:
    for room, path in modules():
        if room == "postgres" or "prove" in path.parts or path.stem == "prove":
            continue
        nodes = list(ast.walk(tree_of(path)))
        names = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        names |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        # sql quotes literals with the driver's own function, which needs no connection.
        assert "psycopg" not in names or room == "sql", f"{path} imports the driver"


def test_every_module_says_what_it_is_for() -> None:
    for _, path in modules():
        assert ast.get_docstring(tree_of(path)), f"{path} has no first line"
