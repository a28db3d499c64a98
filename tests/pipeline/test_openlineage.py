"""Events of OpenLineage as its own client reads them: complete, without secrets, and never in the way of a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import event_v2
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_metrics_input_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    schema_dataset,
)

from data_platform.cli import main
from data_platform.postgres.server import Database

SCOPE = "## Project Scope\n### Active Roles\n- Data Platform Engineer: Shop DB\n"
SPEC = """
kind: pipeline
store: Shop DB
name: orders
pattern: incremental
sources: [{name: orders, path: 'in/*.csv', columns: {id: bigint, email: text, total: 'numeric(10,2)'}}]
transforms: [{name: tidy, sql: "SELECT id, lower(email) AS email, total FROM orders"}]
targets: [{table: shop.orders, from: tidy, key: [id]}, {table: shop.raw, from: orders, key: [id]}]
retries: 0
"""
FACETS: dict[str, Callable[..., Any]] = {
    "columnLineage": lambda fields: column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            name: column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(
                        **{
                            **one,
                            "transformations": [
                                column_lineage_dataset.Transformation(**how) for how in one["transformations"]
                            ],
                        }
                    )
                    for one in field["inputFields"]
                ]
            )
            for name, field in fields.items()
        }
    ),
    "schema": lambda fields: schema_dataset.SchemaDatasetFacet(
        fields=[schema_dataset.SchemaDatasetFacetFields(**one) for one in fields]
    ),
    "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
}


def read(facets: dict[str, Any]) -> dict[str, Any]:
    """Facets as the client's own classes, which know the version of each."""
    found = {}
    for name, facet in facets.items():
        rest = {key: value for key, value in facet.items() if not key.startswith("_")}
        if name in FACETS:
            made = FACETS[name](**rest)
            assert made._schemaURL == facet["_schemaURL"]
            assert facet["_producer"].startswith("urn:")
            found[name] = made
    return found


def check(event: dict[str, Any]) -> None:
    """That the client takes the event as it is, every facet of it that it knows."""
    datasets = {
        kind: [
            made(
                namespace=one["namespace"],
                name=one["name"],
                facets=read(one["facets"]),
                **{key: read(one[key]) for key in ("inputFacets", "outputFacets") if key in one},
            )
            for one in event[kind]
        ]
        for kind, made in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset))
    }
    job = event_v2.Job(event["job"]["namespace"], event["job"]["name"], read(event["job"]["facets"]))
    common = {"eventTime": event["eventTime"], "producer": event["producer"], "job": job, **datasets}
    if "run" in event:
        run = event_v2.Run(event["run"]["runId"], read(event["run"]["facets"]))
        whole: Any = event_v2.RunEvent(eventType=event_v2.RunState[event["eventType"]], run=run, **common)
    else:
        whole = event_v2.JobEvent(**common)
    assert whole.schemaURL == event["schemaURL"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Path:
    (tmp_path / "CLAUDE.md").write_text(SCOPE)
    (tmp_path / "orders.yaml").write_text(SPEC)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,email,total\n1,Ann,5\n2,bob,x\n3,,1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", database.conninfo)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["pipeline", "run", "orders.yaml", "--dsn", "env:SHOP", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_a_run_in_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--openlineage", "events.jsonl")[0] == 0
    started, done = map(json.loads, (project / "events.jsonl").read_text().splitlines())
    for event in (started, done):
        check(event)
    assert (started["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert started["run"]["runId"] == done["run"]["runId"]
    assert done["inputs"][0]["name"] == str(project / "in/*.csv")
    assert done["inputs"][0]["inputFacets"]["dataQualityMetrics"]["rowCount"] == 3
    tidy, raw = done["outputs"]
    assert raw["name"].endswith(".shop.raw")
    assert [one["outputFacets"]["outputStatistics"]["rowCount"] for one in (tidy, raw)] == [2, 2]
    (field,) = tidy["facets"]["columnLineage"]["fields"]["email"]["inputFields"]
    assert (field["name"], field["field"]) == (done["inputs"][0]["name"], "email")
    assert field["transformations"][0]["subtype"] == "TRANSFORMATION"
    assert field["transformations"][0]["description"] == "LOWER(orders.email)"
    assert done["run"]["facets"]["dpe_rows"]["quarantined"] == 2
    assert "Ann" not in json.dumps(done)


def test_a_run_that_fails_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "in" / "1.csv").write_text("id,other\n1,2\n")
    assert run(capsys, "--openlineage", "events.jsonl")[0] == 2
    _, failed = map(json.loads, (project / "events.jsonl").read_text().splitlines())
    check(failed)
    assert failed["eventType"] == "FAIL"
    assert "has drifted" in failed["run"]["facets"]["errorMessage"]["message"]


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """An address, the events that came there, and the answers to give."""
    events: list[dict[str, Any]] = []
    answers = [201]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            events[-1]["token"] = self.headers["Authorization"]
            self.send_response(answers[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_address[1]}/api/v1/lineage", events, answers
    served.shutdown()
    served.server_close()


def test_events_are_sent(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    receiver: tuple[str, list[dict[str, Any]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, events, answers = receiver
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "key")
    code, said = run(capsys, "--openlineage", url)
    assert (code, [one["eventType"] for one in events]) == (0, ["START", "COMPLETE"])
    assert {one["token"] for one in events} == {"Bearer key"}
    answers[0] = 500
    code, said = run(capsys, "--openlineage", f"{url}?key=secret")
    assert (code, [one["rule"] for one in said["findings"]]) == (0, ["lineage-not-sent"])
    assert "answers 500" in said["findings"][0]["message"]
    assert "secret" not in json.dumps(said)


@pytest.mark.parametrize("destination", ["http://127.0.0.1:1/nobody", "no/such/folder/events.jsonl"])
def test_what_cannot_be_sent_does_not_stop_a_run(
    project: Path, capsys: pytest.CaptureFixture[str], destination: str
) -> None:
    code, said = run(capsys, "--openlineage", destination)
    assert (code, said["result"]["rows"]["inserted"]) == (0, 4)
    assert "lineage-not-sent" in [one["rule"] for one in said["findings"]]


def test_a_dry_run_is_not_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--openlineage", "events.jsonl", "--dry-run")[0] == 2
    assert not (project / "events.jsonl").exists()


def test_no_secret_is_in_an_event(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERP", "postgresql://reader:secret@erp.example.org:6432/erp")
    monkeypatch.setenv("CRM", "mysql://reader:secret@crm.example.org/crm")
    columns = "columns: {id: int, note: text}"
    (project / "orders.yaml").write_text(
        SPEC.partition("sources:")[0]
        + f"sources: [{{name: a, dsn: 'env:ERP', table: public.a, {columns}}}, {{name: b, dsn: 'env:CRM', table: x.b,"
        f" {columns}}}, {{name: c, url: 'https://me:secret@api.example.org/c?key=secret', {columns}}},"
        f" {{name: d, dsn: 'env:NOWHERE', table: public.d, {columns}}}]\n"
        "targets: [{table: t.a, from: a, key: [id]}, {table: t.b, from: b, key: [id]}]\n"
    )
    assert main(["pipeline", "lineage", "orders.yaml", "--format", "openlineage"]) == 0
    said = capsys.readouterr().out
    event = json.loads(said)
    check(event)
    assert "secret" not in said
    assert [(one["namespace"], one["name"]) for one in event["inputs"]] == [
        ("postgres://erp.example.org:6432", "erp.public.a"),
        ("mysql://crm.example.org:3306", "crm.x.b"),
        ("https://api.example.org", "/c"),
        ("env:NOWHERE", "public.d"),
    ]


def test_lineage_as_json_and_as_a_picture(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "lineage", "orders.yaml", "--format", "json"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert targets[0]["columns"][1]["sources"][0]["how"] == "transformation"
    assert main(["pipeline", "lineage", "orders.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["targets"] == targets
    assert main(["pipeline", "lineage", "orders.yaml"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")
