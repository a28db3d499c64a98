"""What doctor says, and that it only looks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_platform.cli import main

LAUNCHER = Path(__file__).resolve().parents[2] / "scripts" / "dpe.py"


def test_with_everything_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "ok"
    assert Path(found["result"]["python"]).exists()
    assert found["result"]["server_versions"]
    assert "vector" in found["result"]["extensions"]
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# dpe doctor: everything that dpe needs is there")
    assert "What mends it" not in shown or "**missing**" not in shown


def test_with_nothing_there(tmp_path: Path) -> None:
    """An interpreter without packages, and no environment."""
    command = [sys.executable, "-S", "-I", str(LAUNCHER), "doctor"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False,
                          env={"DPE_HOME": str(tmp_path / "none"), "PATH": "/usr/bin:/bin"})  # fmt: skip
    assert done.returncode == 6
    found = json.loads(done.stdout)
    assert found["status"] == "failed"
    assert found["result"]["python"] is None
    assert found["result"]["server_versions"] == []
    missing = [check for check in found["result"]["checks"] if check["needed"] and not check["ok"]]
    assert {check["what"] for check in missing} == {"environment", "embedded PostgreSQL"}
    assert all("setup" in check["mend"] for check in missing)
    assert not (tmp_path / "none").exists(), "it only looks"
