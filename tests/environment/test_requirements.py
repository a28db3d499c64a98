"""What pyproject.toml asks for, and what an interpreter lacks."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from data_platform.environment import look
from data_platform.environment.build import by_hand
from data_platform.environment.fault import kind_of
from data_platform.environment.place import directory, home, remember_extras, remembered_extras
from data_platform.environment.requirements import (
    Project,
    installed,
    missing,
    parse,
    read_project,
    source_tree,
)


def lay(directory: Path, name: str, version: str, metadata: str = "") -> None:
    information = directory / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(metadata)


def test_ours_can_be_read() -> None:
    project = source_tree()
    assert project is not None
    assert {one.name for one in project.dependencies} >= {"jinja2", "psycopg", "pyyaml"}
    assert "test" in project.extras
    assert all(one.minimum for one in (*project.dependencies, *project.extras["test"]))


def test_installed_versions_are_those_that_python_reports() -> None:
    found = installed(sys.path)
    for name in ("pytest", "pyyaml", "psycopg"):
        assert found[name][0] == metadata.version(name)


@pytest.mark.parametrize(
    ("wanted", "version", "lacking"),
    [
        ("a>=1.2", "1.2", False), ("a>=1.2", "1.10", False), ("a>=1.10", "1.9", True), ("a>=2", "2.0.0", False),
        ("a>=2.0", "2", False), ("a>=2", "2rc1", False), ("a>=2.1", "2.dev1", True),
        ("a", "0.1", False), ("a>=1", None, True),
    ],
)  # fmt: skip
def test_versions(tmp_path: Path, wanted: str, version: str | None, lacking: bool) -> None:
    if version:
        lay(tmp_path, "a", version)
    assert bool(missing([parse(wanted)], [str(tmp_path)])) == lacking


def test_names_are_compared_as_pip_does(tmp_path: Path) -> None:
    lay(tmp_path, "My_Package.name", "1.0")
    assert missing([parse("my-package-name >= 1.0")], [str(tmp_path)]) == ()


def test_an_extra_of_a_package_counts(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "a",
        "1",
        'Requires-Dist: b-c (>=1) ; python_version > "3" and extra == "fast"\nRequires-Dist: d\n',
    )
    wanted = [parse("a[fast]>=1")]
    assert missing(wanted, [str(tmp_path)]) == tuple(wanted)
    lay(tmp_path, "b_c", "1")
    assert missing(wanted, [str(tmp_path)]) == ()


def test_the_first_directory_wins_and_missing_ones_do_not_matter(tmp_path: Path) -> None:
    lay(tmp_path / "one", "a", "1")
    lay(tmp_path / "two", "a", "2")
    order = ["/nowhere", str(tmp_path / "one"), str(tmp_path / "two")]
    assert missing([parse("a>=2")], order) != ()
    assert missing([parse("a>=2")], order[::-1]) == ()


def test_only_our_pyproject_is_ours(tmp_path: Path) -> None:
    assert read_project(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert read_project(tmp_path) is None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("DPE_HOME", str(tmp_path / "home"))
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'data-platform-engineer'\ndependencies = ['a>=1']\noptional-dependencies.x = ['b>=2']\n"
    )
    read = read_project(tmp_path)
    assert read is not None
    return read


def test_each_pyproject_and_extra_has_its_place(project: Project) -> None:
    plain, more = directory(project, ()), directory(project, ("x",))
    assert plain != more
    assert directory(project._replace(digest="other"), ()) != plain
    assert plain.parent == home()
    assert sys.implementation.cache_tag in plain.name


def test_remembered_extras(project: Project) -> None:
    assert remembered_extras(project) == ()
    home().mkdir()
    remember_extras(["x", "gone"])
    assert remembered_extras(project) == ("x",)
    (home() / "extras").write_bytes(b"\xff\xfe")
    assert remembered_extras(project) == ()


def test_the_command_to_run_by_hand_is_whole(project: Project, tmp_path: Path) -> None:
    target = tmp_path / "with space"
    shown = by_hand(project, ("x",), target)
    assert shown == (
        f"{sys.executable} -m venv '{target}' && '{target}/bin/python' -m pip install --quiet --no-input"
        " --disable-pip-version-check 'a>=1' 'b>=2'"
    )


@pytest.mark.parametrize(("variable", "ending"), [("XDG_CACHE_HOME", "cache/data-platform-engineer")])
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="Linux's rule")
def test_home_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, ending: str
) -> None:
    monkeypatch.delenv("DPE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    assert home() == tmp_path / ending


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("OSError: [Errno 28] No space left on device", "space"),
        ("error: Read-only file system (os error 30)", "write"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "venv"),
        (
            "NewConnectionError('...: Failed to establish a new connection: [Errno 111] Connection refused')",
            "network",
        ),
        ("error: Failed to fetch: `https://…`: dns error: failed to lookup address", "network"),
        ("ERROR: No matching distribution found for x>=9", ""),
    ],
)
def test_what_installers_complain_of(output: str, kind: str) -> None:
    assert kind_of(output) == kind


def test_looking_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPE_HOME", str(tmp_path / "home"))
    state = look()
    assert state.python is not None
    assert dict(state.versions)
    assert not (tmp_path / "home").exists()
