"""`dpe demo`: the whole way, in one report."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data_platform.cli import main


def test_the_demo_proves_the_example(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--json", "--html", "demo.html"]) == 0
    envelope = json.loads(capsys.readouterr().out)
    result = envelope["result"]
    assert envelope["status"] == "ok"
    assert result["verdict"] == "proven"
    assert result["catalog"]["equal"]
    assert len(result["rows"]) >= 12
    assert len(result["access_patterns"]) >= 15
    assert {p["status"] for p in result["access_patterns"]} == {"met"}
    assert {c["state"] for c in result["constraints"]} == {"proven"}
    assert {d["state"] for d in result["deletes"]} == {"proven"}
    assert all(use["reasons"] for use in result["indexes"])
    states = {check["item"]: check["state"] for check in result["checklist"]}
    assert states["Indexes on frequently queried columns"] == "proven"
    assert states["Foreign keys with appropriate ON DELETE"] == "proven"
    pipeline = result["pipeline"]
    assert pipeline["verdict"] == "proven"
    assert {"client killed", "server killed", "run twice"} <= {run["fault"] for run in pipeline["runs"]}
    assert not any(run["lost"] or run["doubled"] for run in pipeline["runs"])
    assert "partner_events" in (tmp_path / "demo.html").read_text()
    HTMLParser().feed((tmp_path / "demo.html").read_text())
