"""The wheel installed elsewhere does what the checkout does: templates, schemas and examples are inside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from environments import python_with

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheel; the dependencies are those of the running one."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    wheel = next(place.glob("*.whl"))
    programs = python_with(place / "environment", ["--no-deps", str(wheel)]).parent
    site = next((programs.parent / "lib").glob("python*")) / "site-packages"
    (site / "dependencies.pth").write_text(f"{Path(yaml.__file__).parents[1]}\n")
    return programs / "dpe"


def test_the_installed_command_renders_the_example(installed: Path, tmp_path: Path) -> None:
    project = ROOT / "examples" / "storefront"
    command = [installed, "schema", "render", project / "model.yaml", "--project", project]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE customers" in done.stdout


def test_the_installed_command_refuses_without_a_scope(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed, "scope", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stdout.startswith("[DATA_PLATFORM_ENGINEER] - I cannot proceed with this request.")
