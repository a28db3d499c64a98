"""Our exports to dbt and Soda, really run by these tools on a table with known violations: their counts beside ours.

python tests/benchmarks/run_quality_exports.py [--tool dbt|soda] [--dbt-utils FOLDER] [--json FILE]

The tools live in environments of their own, built once below ${DPE_BENCH_HOME:-<user cache>/data-platform-engineer/bench}.
dbt's package dbt_utils comes from its hub, or from a folder that holds it. The exit code is 1 where a count differs, or
where a tool ran no test of a check that its export holds.
"""

from __future__ import annotations

# ruff: noqa: E402, E501 - the path comes first; a statement is a line
import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.pipeline.quality.export import TOOLS
from data_platform.postgres.server import Database, embedded_server
from quality.running import judged, quality

TABLES = (
    "CREATE TABLE countries (code text PRIMARY KEY)",
    "INSERT INTO countries VALUES ('DE'), ('FR')",
    "CREATE TABLE people (id int, name text, email text, url text, uid text, day text, at text, code text, state text,"
    " country text, amount numeric, quantity int, low int, high int)",
    "INSERT INTO people SELECT g, 'n', 'a' || g || '@b.org', 'https://b.org/' || g, md5(g::text)::uuid::text,"
    " '2024-02-01', '2024-02-01 10:00:00+00', 'AB-' || lpad(g::text, 4, '0'), 'new', 'DE', g, g % 50, 1, 2"
    " FROM generate_series(1, 200) g",
    "UPDATE people SET id = 1 WHERE id IN (2, 3)",
    "UPDATE people SET name = NULL WHERE amount IN (4, 5, 6)",
    "UPDATE people SET email = (ARRAY['no', 'a@b', 'a b@c.de', 'a@b@c.de', NULL])[amount - 9] WHERE amount BETWEEN 10 AND 14",
    "UPDATE people SET url = (ARRAY['ftp://b.org', 'https:///x', 'b.org', 'HTTPS://b.org'])[amount - 19] WHERE amount BETWEEN 20 AND 23",
    "UPDATE people SET uid = (ARRAY['x', upper(uid), replace(uid, '-', ''), left(uid, 35) || 'g'])[amount - 29] WHERE amount BETWEEN 30 AND 33",
    "UPDATE people SET day = (ARRAY['2024-02-30', '1.2.2024', '2024-2-1', '2024-02-29'])[amount - 39] WHERE amount BETWEEN 40 AND 43",
    "UPDATE people SET at = (ARRAY['never', '2024-02-01T10:00:00Z', '2024-02-01 25:00:00', '2024-02-01 10:00:00'])[amount - 49]"
    " WHERE amount BETWEEN 50 AND 53",
    "UPDATE people SET code = (ARRAY['AB-12', 'ab-0001', 'AB-00001', NULL])[amount - 59] WHERE amount BETWEEN 60 AND 63",
    "UPDATE people SET state = (ARRAY['', 'New', 'gone', NULL])[amount - 69] WHERE amount BETWEEN 70 AND 73",
    "UPDATE people SET country = (ARRAY['XX', 'de', NULL])[amount - 79] WHERE amount BETWEEN 80 AND 82",
    "UPDATE people SET low = 3 WHERE amount BETWEEN 90 AND 96",
)
CHECKS: Mapping[str, Mapping[str, Any]] = {
    "named": {"check": "not_null", "columns": ["name"]},
    "named_of_some": {"check": "not_null", "columns": ["name"], "where": "amount > 4"},
    "one_id": {"check": "unique", "columns": ["id"]},
    "one_pair": {"check": "unique", "columns": ["id", "low"]},
    "an_email": {"check": "format", "columns": ["email"], "format": "email"},
    "a_url": {"check": "format", "columns": ["url"], "format": "url"},
    "a_uuid": {"check": "format", "columns": ["uid"], "format": "uuid"},
    "a_date": {"check": "format", "columns": ["day"], "format": "date"},
    "a_time": {"check": "format", "columns": ["at"], "format": "timestamp"},
    "a_code": {"check": "format", "columns": ["code"], "pattern": "^[A-Z]{2}-[0-9]{4}$"},
    "a_type": {"check": "type", "columns": ["day"], "type": "date"},
    "a_state": {"check": "set", "columns": ["state"], "values": ["new", "gone"]},
    "in_range": {"check": "range", "columns": ["amount"], "min": 3, "max": 190},
    "in_open_range": {"check": "range", "columns": ["quantity"], "above": 0, "below": 49},
    "ordered": {"check": "condition", "condition": "low < high"},
    "a_country": {
        "check": "reference",
        "columns": ["country"],
        "to": {"table": "countries", "columns": ["code"]},
    },
}
PACKAGES = {
    "dbt": ("dbt-core<1.12", "dbt-postgres<1.11"),
    "soda": ("soda-core-postgres>=3.5,<4", "setuptools"),
}
"""dbt 1.12 fetches a parser from elsewhere while it is installed; Soda 4 has no checks language."""

Counts = dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", choices=sorted(PACKAGES), action="append")
    parser.add_argument("--dbt-utils", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    checks = [{"name": name, "on": "people", **check} for name, check in CHECKS.items()]
    runs: dict[str, Callable[[Database, str, Path], Counts]] = {
        "dbt": lambda database, text, folder: of_dbt(database, text, folder, arguments.dbt_utils),
        "soda": of_soda,
    }
    told: dict[str, Any] = {}
    with embedded_server() as server, server.scratch_database() as database:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            for statement in TABLES:
                connection.execute(statement.encode())
        told["ours"] = {one.check.name: one.failing for one in judged(database, *checks)}
        for tool in arguments.tool or sorted(runs):
            exported = TOOLS[tool](quality(*checks))
            (text,) = exported.files.values()
            with tempfile.TemporaryDirectory() as folder:
                told[tool] = runs[tool](database, text, Path(folder))
            told[f"{tool} has no words for"] = {one.check.name: one.why for one in exported.unsaid}
    differences = [
        f"{name}: ours {count}, {tool} {told[tool].get(name)}"
        for tool in runs
        if tool in told
        for name, count in told["ours"].items()
        if told[tool].get(name) != count and name not in told[f"{tool} has no words for"]
    ]
    text = json.dumps({**told, "differences": differences}, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    if differences:
        raise SystemExit(1)


def python_of(tool: str) -> Path:
    """The environment of a tool, built where it is not there."""
    default = Path.home() / ".cache" / "data-platform-engineer" / "bench"
    folder = Path(os.environ.get("DPE_BENCH_HOME", default)) / tool
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--clear", "-q", "--python", "3.11", str(folder)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *PACKAGES[tool]], check=True)
    return python


# --- dbt ---


def of_dbt(database: Database, text: str, folder: Path, utils: Path | None) -> Counts:
    given = conninfo_to_dict(database.conninfo)
    profile = {
        "type": "postgres",
        "host": given["host"],
        "port": int(given["port"]),  # type: ignore[arg-type]
        "user": given["user"],
        "pass": given["password"],
        "dbname": given["dbname"],
        "schema": "public",
    }
    package = (
        {"local": str(utils.resolve())} if utils else {"package": "dbt-labs/dbt_utils", "version": "1.3.0"}
    )
    files = {
        "dbt_project.yml": {"name": "q", "version": "1.0.0", "profile": "q", "model-paths": ["models"]},
        "profiles.yml": {"q": {"target": "t", "outputs": {"t": profile}}},
        "packages.yml": {"packages": [package]},
    }
    (folder / "models").mkdir()
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data))  # JSON is YAML
    (folder / "models" / "schema.yml").write_text(text)
    dbt = str(python_of("dbt").parent / "dbt")
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    for words in (["deps"], ["test"]):
        done = subprocess.run(
            [dbt, *words, "--profiles-dir", "."],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not (folder / "target" / "run_results.json").exists():
            raise SystemExit(done.stdout[-4000:] + done.stderr[-2000:])
    results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    nodes = json.loads((folder / "target" / "manifest.json").read_text())["nodes"]
    found: Counts = {}
    for one in results:
        if one["status"] == "error":
            raise SystemExit(f"{one['unique_id']}: {one['message']}")
        name = nodes[one["unique_id"]]["name"]
        found[name] = found.get(name, 0) + int(one["failures"])
    return found


# --- Soda ---

SCAN = """
import json, sys
from soda.scan import Scan
scan = Scan()
scan.set_data_source_name("shop")
scan.add_configuration_yaml_str(open(sys.argv[1]).read())
scan.add_sodacl_yaml_str(open(sys.argv[2]).read())
scan.disable_telemetry() if hasattr(scan, "disable_telemetry") else None
scan.execute()
if scan.has_error_logs():
    sys.exit(scan.get_error_logs_text())
print(json.dumps([[c.name, float(c.check_value)] for c in scan._checks]))
"""


def of_soda(database: Database, text: str, folder: Path) -> Counts:
    given = conninfo_to_dict(database.conninfo)
    connection = {
        "type": "postgres",
        "host": given["host"],
        "port": given["port"],
        "username": given["user"],
        "password": given["password"],
        "database": given["dbname"],
        "schema": "public",
    }
    (folder / "configuration.yml").write_text(json.dumps({"data_source shop": connection}))
    (folder / "checks.yml").write_text(text)
    words = [
        str(python_of("soda")),
        "-c",
        SCAN,
        str(folder / "configuration.yml"),
        str(folder / "checks.yml"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    found: Counts = {}
    for name, value in json.loads(done.stdout.splitlines()[-1]):
        found[name] = found.get(name, 0) + int(value)
    return found


if __name__ == "__main__":
    main()
