"""What SKILL.md, README and the references promise: links resolve, front matter is legal, commands run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "references/*.md", "_shared/references/*.md", "examples/*/*.md")
    for path in ROOT.glob(pattern)
)
SHIPPED = sorted(
    path for folder in ("references", "_shared/references") for path in (ROOT / folder).glob("*.md")
)
MAX_SKILL_LINES, MAX_SKILL_CHARACTERS = 500, 20_000
"""5,000 tokens are about 20,000 characters of English."""

RUN_BY_CI = {"python3 scripts/dpe.py test", "python3 scripts/dpe.py demo"}
"""These two are what `.ci/run` itself consists of; running the tests inside the tests would not end."""


def fences(path: Path, language: str) -> list[str]:
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info.strip() == language]


def links(path: Path) -> list[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    return [str(token.attrs["href"]) for token in inline if token.type == "link_open"]


def commands() -> list[str]:
    """Every command line in a bash fence, once."""
    blocks = [block.replace("\\\n", " ") for path in DOCUMENTS for block in fences(path, "bash")]
    lines = [" ".join(line.split()) for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{path.name} links to {link}"
        if anchor:
            assert anchor in anchors(file), f"{path.name} links to {link}"


def anchors(path: Path) -> set[str]:
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    titles = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_shipped_reference_is_named_in_the_skill_or_a_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "SKILL.md", *SHIPPED])
    for path in SHIPPED:
        assert path.name in text


def test_the_skill_has_legal_front_matter() -> None:
    _, front, body = (ROOT / "SKILL.md").read_text(encoding="utf-8").split("---\n", 2)
    data = yaml.safe_load(front)
    allowed = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert set(data) <= allowed
    assert data["name"] == "data-platform-engineer"
    assert 1 <= len(data["description"]) <= 1024
    assert not set("<>") & set(data["description"])
    assert len(data["compatibility"]) <= 500
    assert all(isinstance(value, str) for value in data["metadata"].values())
    assert body.count("\n") < MAX_SKILL_LINES
    assert len(body) < MAX_SKILL_CHARACTERS


def test_there_is_exactly_one_skill() -> None:
    tracked = [path for path in ROOT.rglob("SKILL.md") if ".git" not in path.parts]
    assert tracked == [ROOT / "SKILL.md"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, so that what a documented command writes is not written into ours."""
    copy = tmp_path_factory.mktemp("checkout") / "data-platform-engineer"
    ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis", ".venv", "tests")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.mark.parametrize("command", commands())
def test_documented_commands_run(command: str, checkout: Path) -> None:
    if command in RUN_BY_CI:
        pytest.skip("this is what .ci/run runs")
    words = shlex.split(command)
    assert words[:2] == ["python3", "scripts/dpe.py"], f"not a command of ours: {command}"
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.strip()


def test_every_command_is_documented() -> None:
    from data_platform.cli import NOUNS

    text = (ROOT / "README.md").read_text() + (ROOT / "SKILL.md").read_text()
    for noun, declared in NOUNS.items():
        for verb in declared.verbs or (noun,):
            assert f"`{verb}`" in text or f"{noun} {verb}" in text, (
                f"{noun} {verb} is in neither README nor SKILL.md"
            )
