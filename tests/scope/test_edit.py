"""`scope init`: the section is written, and not a byte besides."""

from __future__ import annotations

import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.cli import main
from data_platform.scope import check
from data_platform.scope.answers import Answers, CannotWrite, StoreAnswer, checked
from data_platform.scope.edit import plan, rendered

from .conftest import Project
from .samples import BULLETS

ANSWERS = Answers(
    project="Storefront",
    team="platform",
    owner="@data",
    stores=(
        StoreAnswer("Customer DB", "postgresql", "env:CUSTOMER_DB_URL"),
        StoreAnswer("Billing DB", "postgresql", owner="Billing Team"),
    ),
)
OPTIONS = [
    "--name", "Storefront", "--team", "platform", "--owner", "@data", "--own", "Customer DB", "postgresql",
    "env:CUSTOMER_DB_URL", "--other", "Billing DB", "Billing Team", "postgresql",
]  # fmt: skip


def init(root: Path, *more: str) -> int:
    return main(["scope", "init", "--project", str(root), *OPTIONS, *more])


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"# Guide\n",
        b"# Guide",
        b"# Guide\r\ntext\r\n",
        b"\xef\xbb\xbf# Guide\r\n\r\n",
        b"# Guide\rold mac\r",
        b"not \xff UTF-8 \xfe\n",
        b"tab\t\x0c form feed\n\n\n",
    ],
)
def test_the_rest_stays_byte_for_byte(
    project: Project, before: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project({"CLAUDE.md": before})
    assert init(root) == 0
    after = (root / "CLAUDE.md").read_bytes()
    assert after.startswith(before)
    assert check(root, "Customer DB").verdict == "owned"
    assert check(root, "Billing DB").verdict == "owned_by_other"
    added = after[len(before) :]
    if b"\r\n" in before:
        assert added.count(b"\n") == added.count(b"\r\n")
    if before and not before.endswith((b"\n", b"\r")):
        assert not after.endswith(b"\n")
    assert init(root) == 0
    assert (root / "CLAUDE.md").read_bytes() == after, "a second run changes nothing"
    assert "Already up to date" in capsys.readouterr().out


def test_the_diff_is_one_that_patch_understands(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = project({"CLAUDE.md": "# Guide\n\none\ntwo\nthree\nfour\n"})
    assert init(root, "--dry-run") == 0
    diff = capsys.readouterr().out.split("\n\n", 1)[1]
    assert (root / "CLAUDE.md").read_text() == "# Guide\n\none\ntwo\nthree\nfour\n"
    subprocess.run(["patch", "-p0", "--quiet"], input=diff, text=True, cwd=root, check=True)
    patched = (root / "CLAUDE.md").read_text()
    (root / "CLAUDE.md").write_text("# Guide\n\none\ntwo\nthree\nfour\n")
    assert init(root) == 0
    assert (root / "CLAUDE.md").read_text() == patched


def test_another_scope_is_replaced_only_with_force(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"# Guide\n\n{BULLETS}\n## After\ntext"
    root = project(text)
    assert init(root) == 2
    assert "CLAUDE.md:3 already holds another scope" in capsys.readouterr().err
    assert (root / "CLAUDE.md").read_text() == text
    assert init(root, "--force") == 0
    written = (root / "CLAUDE.md").read_text()
    assert written == f"# Guide\n\n{rendered(ANSWERS)}\n## After\ntext"
    assert init(root) == 0


def test_an_older_scope_stays_beside_the_new_one(project: Project) -> None:
    root = project("### Domain Ownership\n- Orders: Backend Developer\n")
    assert init(root) == 2
    assert init(root, "--force") == 0
    assert check(root).line == 4


def test_without_a_file_one_is_made(project: Project) -> None:
    root = project()
    assert init(root) == 0
    assert (root / "CLAUDE.md").read_text() == rendered(ANSWERS)


def test_the_file_that_is_there_is_used(project: Project) -> None:
    root = project({".claude/CLAUDE.md": "# Guide\n", "CLAUDE.local.md": "mine\n", "AGENTS.md": "theirs\n"})
    assert init(root) == 0
    assert check(root).file == str(Path(".claude", "CLAUDE.md"))
    assert (root / "CLAUDE.local.md").read_text() == "mine\n"


def test_a_subproject_gets_its_own(project: Project) -> None:
    root = project({"CLAUDE.md": BULLETS, "api/x": ""})
    assert init(root / "api") == 0
    assert (root / "CLAUDE.md").read_text() == BULLETS
    assert check(root / "api").file == "CLAUDE.md"


def test_a_file_from_elsewhere_is_not_touched(project: Project, tmp_path: Path) -> None:
    (tmp_path / "shared.md").write_text(BULLETS)
    root = project("@../shared.md\n")
    assert check(root).file == str(Path("..", "shared.md"))
    assert init(root) == 0
    assert (tmp_path / "shared.md").read_text() == BULLETS
    assert check(root).file == "CLAUDE.md"


def test_mode_and_symbolic_link_stay(project: Project) -> None:
    root = project({"AGENTS.md": "# Guide\n"})
    (root / "AGENTS.md").chmod(0o640)
    (root / "CLAUDE.md").symlink_to("AGENTS.md")
    assert init(root) == 0
    assert (root / "CLAUDE.md").is_symlink()
    assert stat.S_IMODE((root / "AGENTS.md").stat().st_mode) == 0o640
    assert sorted(path.name for path in root.iterdir()) == [".git", "AGENTS.md", "CLAUDE.md"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("# Guide\n".encode("utf-16"), "not a text file"),
        (b"a\x00b\n", "not a text file"),
        ("# Guide\n```\n", "ends inside code"),
        ("# Guide\n<!-- \n", "ends inside code"),
    ],
)
def test_a_file_that_cannot_take_it_is_refused(
    project: Project, content: str | bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project({"CLAUDE.md": content})
    before = (root / "CLAUDE.md").read_bytes()
    assert init(root) == 2
    assert why in capsys.readouterr().err
    assert (root / "CLAUDE.md").read_bytes() == before


def test_what_is_no_file_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = project({"CLAUDE.md/x": ""})
    assert init(root) == 2
    (root / "CLAUDE.md" / "x").unlink()
    (root / "CLAUDE.md").rmdir()
    (root / "CLAUDE.md").symlink_to("nowhere.md")
    assert init(root) == 2
    assert "symbolic link to nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--team", "a", "--owner", "@b"], "no store of ours"),
        (["--team", "a", "--own", "Orders"], "the owner is not given"),
        (["--owner", "@b", "--own", "Orders"], "the team is not given"),
        (
            ["--team", "a", "--owner", "@b", "--own", "Orders", "pg", "postgres://u:hunter2@h/d"],
            "no URL belongs",
        ),
        (["--team", "a", "--owner", "@b", "--own", "Or\nders"], "control characters"),
        (["--team", "a", "--owner", "@b", "--own", "[Orders]"], "looks like a template"),
        (["--team", "a", "--owner", "@b", "--own", "Orders", "1", "env:A", "4"], "takes 1 to 3 values"),
        (["--team", "a", "--owner", "@b", "--own", "Orders", "--other", "Billing"], "takes 2 to 3 values"),
    ],
)
def test_answers_that_make_no_scope(
    project: Project, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project()
    assert main(["scope", "init", "--project", str(root), *arguments]) == 2
    shown = capsys.readouterr().err
    assert why in shown
    assert "hunter2" not in shown
    assert not (root / "CLAUDE.md").exists()


def test_answers_from_yaml(project: Project) -> None:
    root = project({
        "answers.yaml": """\
project: Storefront
team: platform
owner: "@data"
stores:
  - {name: Customer DB, engine: postgresql, connection: env:CUSTOMER_DB_URL}
  - {name: Billing DB, engine: postgresql, owner: Billing Team}
"""
    })  # fmt: skip
    assert main(["scope", "init", "--project", str(root), "--answers", str(root / "answers.yaml")]) == 0
    assert (root / "CLAUDE.md").read_text() == rendered(ANSWERS)


@pytest.mark.parametrize(
    ("yaml", "why"),
    [
        ("- a", "is not a mapping"),
        ("teem: a", "unknown key 'teem'"),
        ("team: 7", "team is not text"),
        ("stores: Orders", "`stores` is not a list"),
        ("stores: [{engine: pg}]", "stores[0] lacks name"),
        ("owner: @data", "is not YAML"),
        ("a: &a [*a]", "unknown key 'a'"),
        ("x: [" * 5000, "is not YAML"),
        ("# " + "x" * 70_000, "more than 64,000 bytes"),
    ],
)
def test_a_file_of_answers_with_a_mistake(
    project: Project, yaml: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project({"answers.yaml": yaml})
    assert main(["scope", "init", "--project", str(root), "--answers", str(root / "answers.yaml")]) == 2
    assert why in capsys.readouterr().err


def test_a_missing_file_of_answers(project: Project) -> None:
    assert main(["scope", "init", "--project", str(project()), "--answers", "nowhere.yaml"]) == 6


def test_two_scopes_in_one_file_are_refused(project: Project, tmp_path: Path) -> None:
    root = project(f"{BULLETS}\n# Middle\n{BULLETS}")
    with pytest.raises(CannotWrite, match="second"):
        plan(root, ANSWERS, force=True)


NAMES = st.text(
    st.characters(whitelist_categories=["L", "N", "Zs", "P"]) | st.sampled_from("|\\,()[]-@`*"),
    min_size=1,
    max_size=12,
)


@given(NAMES, NAMES)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(ours: str, theirs: str) -> None:
    """A name that would be read as something else is refused, never written."""
    answers = ANSWERS._replace(stores=(StoreAnswer(ours), StoreAnswer(theirs, owner="Other Team")))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / ".git").mkdir()
        try:
            change = plan(root, checked(answers), force=False)
        except CannotWrite:
            return
        change.path.write_bytes(change.after)
        assert check(root).verdict == "defined"
        assert check(root, ours).verdict == "owned"
        assert check(root, theirs).verdict == "owned_by_other"


@pytest.mark.parametrize("name", ["A, B", "(A)", "-", "Customer (old) DB, x", "Customer DB"])
def test_names_that_cannot_be_told_apart_are_refused(project: Project, name: str) -> None:
    answers = ANSWERS._replace(stores=(StoreAnswer("Customer DB"), StoreAnswer(name, owner="Other Team")))
    with pytest.raises(CannotWrite, match="read back"):
        plan(project(), answers, force=False)
