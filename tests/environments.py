"""Environments of their own for tools that are tested with what we make for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path


def python_with(home: Path, packages: Sequence[str]) -> Path:
    """The interpreter of a new environment with these packages."""
    python = home / "bin" / "python"
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, home], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True)
    else:
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python
