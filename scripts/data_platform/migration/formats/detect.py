"""Which migration tool a project uses, told from its files; nothing of the project is run."""

from __future__ import annotations

from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.migration.formats.context import Detected, Place
from data_platform.migration.formats.registry import FORMATS
from data_platform.migration.formats.tree import Tree


def detect(project: Path, app: str | None = None) -> Detected | None:
    """The project's tool and where its next migration goes; None where there is no sign of one.

    Raises UsageProblem for signs of several tools and for histories with several ends.
    """
    tree = Tree(project, app)
    found = [one for known in FORMATS.values() if (one := known.find(tree)) is not None]
    if len(found) > 1:
        signs = ", ".join(f"{one.tool} ({one.evidence})" for one in found)
        raise UsageProblem(
            f"signs of {len(found)} migration tools: {signs}",
            expected="one",
            try_=f"--format {found[0].tool}",
        )
    return found[0] if found else None


def place_of(project: Path, tool: str, app: str | None) -> Place | None:
    """Where the next migration of this tool goes, whatever other tools the project has signs of."""
    found = FORMATS[tool].find(Tree(project, app))
    return found.place if found is not None else None
