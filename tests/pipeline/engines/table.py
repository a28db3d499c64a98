"""The table of references/pipeline-engines.md, from what PostgreSQL, DuckDB and Spark gave for statements.yaml.

python tests/pipeline/engines/table.py
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "scripts")]

from data_platform.pipeline.engines.prove import Judged, judge, typed  # noqa: E402
from data_platform.pipeline.engines.running import running  # noqa: E402
from data_platform.pipeline.engines.types import Engine  # noqa: E402
from data_platform.postgres.server import Server, embedded_server  # noqa: E402

PAGE = ROOT / "references" / "pipeline-engines.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"
SOURCES = {
    "orders": {
        "id": "bigint", "customer_id": "bigint", "status": "text", "total": "numeric(12,2)", "quantity": "integer",
        "weight": "double precision", "placed_at": "timestamptz", "shipped": "timestamp", "day": "date",
        "paid": "boolean", "extra": "jsonb",
    },
    "customers": {"customer_id": "bigint", "email": "text", "country": "text", "born": "date", "tags": "text[]"},
}  # fmt: skip
STATEMENTS: Mapping[str, str] = yaml.safe_load((Path(__file__).parent / "statements.yaml").read_text())


def measured(server: Server, engine: Engine) -> dict[str, Judged]:
    """Each statement on the engine. Those that order have rows of their own, in which no value comes twice."""
    found: dict[str, Judged] = {}
    with running(engine) as runner:
        for orders in (True, False):
            group = {name: sql for name, sql in STATEMENTS.items() if ("ORDER" in sql) is orders}
            with server.scratch_database() as database:
                tables = typed(database, SOURCES, group)
                found |= {one.name: one for one in judge(database, runner, SOURCES, group, tables)}
    return {name: found[name] for name in STATEMENTS}


def cell(one: Judged) -> str:
    """What the page says of a statement on an engine."""
    if one.objections:
        return f"write {one.objections[0].instead}"
    return one.verdict


def table(duckdb: Mapping[str, str], spark: Mapping[str, str]) -> str:
    rows = [f"| {name} | {duckdb[name]} | {spark[name]} |" for name in STATEMENTS]
    return "\n".join(["| In PostgreSQL | on DuckDB | on Spark |", "|---|---|---|", *rows, ""])


def column(server: Server, engine: Engine) -> dict[str, str]:
    return {name: cell(one).replace("|", "\\|") for name, one in measured(server, engine).items()}


def shown() -> list[list[str]]:
    """The table that the page has, without its head."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return [
        [part.strip() for part in line.replace("\\|", "\0").split("|")[1:4]] for line in text.splitlines()[2:]
    ]


if __name__ == "__main__":
    with embedded_server() as own:
        made = table(column(own, "duckdb"), column(own, "spark"))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + made + END + rest.partition(END)[2], encoding="utf-8")
