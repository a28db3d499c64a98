"""A source tree like ours that needs one tiny package, and an index that is a directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

PYPROJECT = """\
[project]
name = "data-platform-engineer"
dependencies = ["dpe-tiny>=1.2"]
[project.optional-dependencies]
more = ["dpe-more[deep]>=3"]
test = ["pytest>=99"]
"""

# Stands in for a command that does work: it needs the tiny package and says where it runs.
DEMO = """\
from data_platform.cli.contract import Command, Outcome
def run(invocation):
    import dpe_tiny, sys
    return Outcome(text=f"{sys.executable} {invocation.arguments.words}")
COMMANDS = (Command("demo", None, "s", "dpe demo", lambda p: p.add_argument("words", nargs="*"), run, gated=False),)
"""

WHEELS = {
    ("dpe_tiny", "1.2"): ("", {"dpe_tiny/__init__.py": ""}),
    ("dpe_more", "3.0.1"): (
        "Requires-Dist: dpe-deep==1; extra == 'deep'\nProvides-Extra: deep\n",
        {"dpe_more/__init__.py": ""},
    ),
    ("dpe_deep", "1"): ("", {"dpe_deep/__init__.py": ""}),
    ("pytest", "99"): (
        "",
        {
            "pytest/__init__.py": "",
            "pytest/__main__.py": "import os, sys; print(os.getcwd(), sys.argv[1:]); sys.exit(5)",
        },
    ),
}


def make_wheel(directory: Path, name: str, version: str, headers: str, files: dict[str, str]) -> None:
    information = f"{name}-{version}.dist-info"
    contents = files | {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{headers}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{information}/RECORD"])
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in (contents | {f"{information}/RECORD": record}).items():
            wheel.writestr(path, text)


@dataclass
class Tree:
    """The source tree, where its environments go, and the variables it runs with."""

    root: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def launcher(self) -> Path:
        return self.root / "scripts" / "dpe.py"

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.launcher), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root.parent, start_new_session=True,
            env={**self.variables, "DPE_HOME": str(self.home), **variables},
        )  # fmt: skip

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def environments(self) -> list[Path]:
        return sorted(path for path in self.home.iterdir() if path.is_dir())

    def elsewhere(self, home: Path, **variables: str) -> Tree:
        return Tree(self.root, home, self.variables | variables)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Shared, with spaces in its path; tests that break things use `tree.elsewhere`."""
    base = tmp_path_factory.mktemp("a path with spaces")
    root = base / "the tree"
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "scripts" / "data_platform" / "cli" / "demo.py").write_text(DEMO)
    (root / "pyproject.toml").write_text(PYPROJECT)
    index = base / "index"
    index.mkdir()
    for (name, version), (headers, files) in WHEELS.items():
        make_wheel(index, name, version, headers, files)
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "DPE_", "PYTHON", "COV"))
    }  # fmt: skip
    if uv := shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)):
        (base / "uv").mkdir()  # ten times faster than pip; without it the same is tested with pip
        (base / "uv" / "uv").symlink_to(uv)
        kept["PATH"] = os.pathsep.join([str(base / "uv"), kept.get("PATH", "")])
    links = index.as_uri()  # pip splits its variable at spaces
    return Tree(
        root,
        base / "the home",
        kept | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "UV_NO_INDEX": "1", "UV_FIND_LINKS": links,
                "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"},
    )  # fmt: skip
