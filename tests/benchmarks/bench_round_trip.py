"""Real schemas through import, model, DDL and back, judged by pg_dump, which knows nothing of our catalog queries.

    python tests/benchmarks/bench_round_trip.py FILE.sql [FILE.sql ...]

Each file is loaded into one database; what its import renders into another. Both are dumped, and the dumps compared
entry by entry. `ours` is what `schema diff` says of the same two.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.ddl import script  # noqa: E402
from data_platform.errors import Problem  # noqa: E402
from data_platform.model.differences import differences, objects  # noqa: E402
from data_platform.postgres import sources  # noqa: E402
from data_platform.postgres.binaries import find_programs, server_account  # noqa: E402
from data_platform.postgres.load import Script, load  # noqa: E402
from data_platform.postgres.server import Database, Server, embedded_server  # noqa: E402
from data_platform.spec import document, validate  # noqa: E402
from data_platform.spec.model import read_model  # noqa: E402
from data_platform.spec.model.write import write  # noqa: E402

ENTRY = re.compile(r"^--\n-- Name: (.*); Type: (.*); Schema: (.*); Owner: .*\n--\n", re.MULTILINE)
LEFT_OUT = ("USER MAPPING", "SUBSCRIPTION")
"""They hold passwords."""


def quiet(_what: str, _share: float) -> None:
    """No progress."""


def dump(database: Database) -> Mapping[tuple[str, ...], list[str]]:
    """The entries of pg_dump by type, schema and name."""
    address = conninfo_to_dict(database.admin_conninfo)
    environment = {**os.environ, "PGPASSWORD": str(address.pop("password"))}
    address.pop("options", None)
    command = [find_programs(server_account()) / "pg_dump", "--schema-only", "-d", make_conninfo(**address)]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    text = text.replace(database.name, "owner").partition("\n--\n-- PostgreSQL database dump complete")[0]
    headers = list(ENTRY.finditer(text))
    entries: dict[tuple[str, ...], list[str]] = {}
    for number, header in enumerate(headers):
        end = headers[number + 1].start() if number + 1 < len(headers) else len(text)
        lines = [
            line
            for line in text[header.end() : end].splitlines()
            if line and not line.startswith(("SET ", "--"))
        ]
        if header[2] not in LEFT_OUT:
            entries.setdefault((header[2], header[3], header[1]), []).append("\n".join(lines))
    return {key: sorted(value) for key, value in entries.items()}


def measure(server: Server, path: Path) -> str:
    """One row of the table."""
    started = time.perf_counter()
    given = sources.scripts([str(path)])
    taken = sources.of_scripts(server, given, quiet)
    text = write(sources.design("Bench", taken))
    seconds = time.perf_counter() - started
    parsed = document.parse(text.encode(), "model.yaml")
    validate.check(parsed)
    design = read_model(parsed)
    sql = script(design, "")
    ours = differences(taken.database, sources.of_design(server, design, quiet).database)
    with server.scratch_database() as one, server.scratch_database() as other:
        load(one, given)
        load(other, [Script("rendered.sql", sql)])
        before, after = dump(one), dump(other)
    unequal = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    database = taken.database
    row = (
        f"{path.name:<44} {len(database.tables):>6} {len(objects(database)):>8} {len(database.raw):>4} "
        f"{'equal' if ours.equal else 'differs':>8} {len(before) - len(unequal):>6}/{len(before):<6} {seconds:>6.1f}"
    )
    return "\n".join([row, *(f"    {' '.join(key)}" for key in unequal[:5])])


def main(paths: list[str]) -> None:
    """Print the table."""
    print(
        f"{'schema':<44} {'tables':>6} {'objects':>8} {'raw':>4} {'ours':>8} {'pg_dump equal':>13} {'import s':>7}"
    )
    with embedded_server() as server:
        for path in map(Path, paths):
            try:
                print(measure(server, path), flush=True)
            except Problem as problem:
                print(f"{path.name:<44} not loaded: {str(problem).splitlines()[0][:140]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
