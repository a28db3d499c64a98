"""Where the scope is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.scope import check

from .conftest import Project
from .samples import BULLETS, TABLES

NO_SCOPE = "# Guide\nNothing here.\n"


@pytest.mark.parametrize(
    "name", ["CLAUDE.md", "claude.md", "Claude.MD", ".claude/CLAUDE.md", "CLAUDE.local.md", "AGENTS.md"]
)
def test_every_name_is_read(project: Project, name: str) -> None:
    assert check(project({name: TABLES})).file == name


def test_the_first_of_a_directory_wins(project: Project) -> None:
    names = ["CLAUDE.md", "claude.md", ".claude/CLAUDE.md", "CLAUDE.local.md", "AGENTS.md"]
    root = project(dict.fromkeys(names, BULLETS))
    for name in names:
        assert check(root).file == name
        (root / name).write_text(NO_SCOPE)


def test_the_nearest_directory_wins_and_the_root_of_the_repository_ends_it(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "CLAUDE.md").write_text(TABLES)
    root = project({"CLAUDE.md": NO_SCOPE, "services/api/CLAUDE.md": NO_SCOPE})
    assert check(root / "services" / "api").verdict == "undefined"
    (root / "AGENTS.md").write_text(BULLETS)
    assert check(root / "services" / "api").file == str(Path("..", "..", "AGENTS.md"))
    (root / "CLAUDE.md").write_text(BULLETS)
    assert check(root / "services" / "api").file == str(Path("..", "..", "CLAUDE.md"))
    (root / "services" / "CLAUDE.md").write_text(TABLES)
    assert check(root / "services" / "api").file == str(Path("..", "CLAUDE.md"))


def test_a_worktree_has_a_git_file(project: Project, tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text(TABLES)
    root = project()
    (root / ".git").rmdir()
    (root / ".git").write_text("gitdir: elsewhere\n")
    assert check(root).verdict == "undefined"


def test_imports_are_followed_five_deep(project: Project) -> None:
    files: dict[str, str | bytes] = {f"d/{n}.md": f"see @{n + 1}.md, please" for n in range(1, 7)}
    root = project({"CLAUDE.md": "Read (x) @d/1.md.", **files, "d/6.md": TABLES})
    assert check(root).verdict == "undefined"
    (root / "d" / "5.md").write_text(TABLES)
    assert check(root).file == str(Path("d", "5.md"))


def test_a_file_reached_again_on_a_shorter_way_is_followed_from_there(project: Project) -> None:
    files = {f"{n}.md": f"@{n + 1}.md" for n in range(1, 6)}
    root = project({"CLAUDE.md": "@1.md\n@5.md\n", **files, "6.md": TABLES})
    decision = check(root, "Customer DB")
    assert (decision.verdict, decision.file) == ("owned", "6.md")


def test_the_own_text_counts_before_imports_and_imports_before_the_next_file(project: Project) -> None:
    root = project({"CLAUDE.md": f"@a.md\n{TABLES}", "a.md": BULLETS, ".claude/CLAUDE.md": BULLETS})
    assert check(root).file == "CLAUDE.md"
    (root / "CLAUDE.md").write_text("@a.md\n")
    assert check(root).file == "a.md"


@pytest.mark.parametrize(
    "text", ["`@a.md`", "```\n@a.md\n```", "<!-- @a.md -->", "me@a.md", "@missing.md", "@data", "@"]
)
def test_what_is_no_import(project: Project, text: str) -> None:
    assert check(project({"CLAUDE.md": text, "a.md": TABLES, "data/x": ""})).verdict == "undefined"


def test_an_import_loop_is_no_error(project: Project) -> None:
    root = project(
        {"CLAUDE.md": "@a.md @CLAUDE.md", "a.md": "@CLAUDE.md @b.md @a.md", "b.md": "@a.md @./././a.md"}
    )
    assert check(root).verdict == "undefined"
    (root / "b.md").write_text(TABLES)
    assert check(root).file == "b.md"


def test_a_symbolic_link_is_read(project: Project) -> None:
    root = project({"AGENTS.md": TABLES})
    (root / "CLAUDE.md").symlink_to("AGENTS.md")
    assert check(root).file == "CLAUDE.md"


def test_a_project_that_is_not_there_has_no_scope(tmp_path: Path) -> None:
    assert check(tmp_path / "nowhere").verdict in ("undefined", "defined")


def test_utf_16_is_read(project: Project) -> None:
    assert check(project({"CLAUDE.md": TABLES.encode("utf-16")}), "Customer DB").verdict == "owned"


def test_an_import_with_a_nul_in_its_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_bytes(b"@~/a\x00b.md and @c\x00d.md\n")
    assert check(str(tmp_path), "Customer DB").verdict == "undefined"
