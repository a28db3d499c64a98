"""The two specs that we show run on the example project's schema; the form of a check is one in both kinds of spec."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from data_platform import ddl
from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.check import run_checks
from data_platform.postgres.quality.asking import reading
from data_platform.postgres.server import Server
from data_platform.spec import document, validate
from data_platform.spec.model import read_model
from data_platform.spec.quality import read_quality

STOREFRONT = Path(__file__).parents[2] / "examples" / "storefront"


def test_every_check_runs_on_the_storefront(server: Server) -> None:
    design = read_model(document.read(STOREFRONT / "model.yaml"))
    extensions = [extension.name for extension in design.database.extensions]
    example = document.parse(validate.example_text("quality").encode(), "quality.yaml")
    with server.scratch_database(extensions=extensions) as database:
        with psycopg.connect(database.conninfo) as connection:
            connection.execute(ddl.script(design, "again").encode())
        for read in (example, document.read(STOREFRONT / "quality.yaml")):
            validate.check(read, "quality")
            spec = read_quality(read)
            with reading(database.conninfo) as session:
                found = run_checks(session, spec.checks, Asked(), lambda text, share: None)
            states = {one.check.name: one.state for one in found}
            assert "not run" not in states.values()
            # No order is there: none is fresh, there are too few, and there is no mean.
            assert [name for name, state in states.items() if state == "failed"] == [
                "orders freshness placed_at",
                "orders rows",
                "mean order",
            ]


def test_a_check_has_one_form() -> None:
    forms = [json.loads(validate.schema_text(kind))["$defs"]["check"] for kind in ("quality", "pipeline")]
    assert forms[0] == forms[1]
