"""A user's project as a directory with files in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """`project({"CLAUDE.md": "..."})` makes a repository with these files and returns its directory."""

    def make(files: dict[str, str | bytes] | str | None = None) -> Path:
        root = tmp_path / "repository"
        (root / ".git").mkdir(parents=True, exist_ok=True)
        named = {"CLAUDE.md": files} if isinstance(files, str) else files or {}
        for name, content in named.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return make
