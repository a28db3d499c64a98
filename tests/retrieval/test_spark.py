"""The load as a Spark job, on real Spark in local mode: row by row what `load` makes, whatever is killed in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from data_platform.postgres.server import Database
from retrieval.embedding.server import running
from retrieval.spreads import ALL, Place, filled, place, rows, stores, tables_made, touched, write_bodies

__all__ = ["place", "stores"]

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    pytest.mark.skipif(os.name == "nt", reason="the job is killed with all of its processes, by group"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel under the name that Spark takes."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl")).rename(folder / "data_platform.zip")


def started(place: Place, package: Path, database: Database) -> subprocess.Popen[str]:
    """The job as a user starts it: our code comes with it, the packages that it needs are installed."""
    found = find_spec("pyspark")
    assert found
    assert found.origin
    home = Path(found.origin).parent
    command = [home / "bin" / "spark-submit", "--master", "local[2]", "--py-files", package]
    # A job of seconds: what a second compiler and collecting in parallel cost is never won back.
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"]
    command += ["--conf", "spark.ui.enabled=false", "--driver-memory", "512m", place.folder / "load_spark.py"]
    command += ["--folder", place.folder, "--dsn", "env:STORE", "--parts", "8"]
    more = {"STORE": database.conninfo, "PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(home)}
    more |= {"PYTHONPATH": str(home.parent), "SPARK_LOCAL_IP": "127.0.0.1"}
    with (place.folder.parent / "log.txt").open("w") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, **more},
            cwd=place.folder.parent,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def run(place: Place, package: Path, database: Database, code: int = 0) -> str:
    """What a job says that ends with this code."""
    with started(place, package, database) as job:
        said, _ = job.communicate(timeout=180)
    assert job.returncode == code, said + (place.folder.parent / "log.txt").read_text()[-3000:]
    return said.strip()


def test_it_makes_what_load_makes_and_again_nothing(
    place: Place, package: Path, stores: tuple[Database, Database]
) -> None:
    one, other = stores
    tables_made(one, place.spec)
    said = run(place, package, one)
    assert said == (
        f"{ALL} new, 0 changed, 0 as they were, 0 vanished; 180 chunks, of which 180 were embedded."
    )
    filled(other, place)
    assert rows(one, place.spec) == rows(other, place.spec)
    before = touched(one)
    assert run(place, package, one).startswith(f"0 new, 0 changed, {ALL} as they were, 0 vanished; 0 chunks")
    assert touched(one) == before

    (place.folder / "pages" / "p1.md").write_text(
        "# Page 1\n\nother words\n\n## More\n\nwords of them, several 1"
    )
    (place.folder / "pages" / "p2.md").unlink()
    write_bodies(place.folder, 39)
    assert run(place, package, one).startswith(
        f"0 new, 1 changed, {ALL - 3} as they were, 2 vanished; 2 chunks"
    )
    filled(other, place)
    assert rows(one, place.spec) == rows(other, place.spec)


def test_killed_it_loses_nothing_and_adds_nothing_twice(
    place: Place, package: Path, stores: tuple[Database, Database]
) -> None:
    one, other = stores
    with running() as (url, fake):
        place.write_spec(f"{{name: m, provider: openai, dimensions: 8, url: '{url}'}}")
        tables_made(one, place.spec)
        fake.plan = ["slow"] * 10_000
        kill_in_the_middle(place, package, one)
        halfway = rows(one, place.spec)
        run(place, package, one)
        filled(other, place)
    whole = rows(one, place.spec)
    assert whole == rows(other, place.spec)
    owners = {row[1] for row in halfway["chunks"]}
    assert [row for row in whole["chunks"] if row[1] in owners] == halfway["chunks"]


def kill_in_the_middle(place: Place, package: Path, database: Database) -> None:
    job = started(place, package, database)
    deadline = time.monotonic() + 120
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        there = "SELECT count(*) FROM help.documents"
        while connection.execute(there).fetchone() == (0,) and time.monotonic() < deadline:
            assert job.poll() is None
            time.sleep(0.002)
        os.killpg(job.pid, signal.SIGKILL)
        job.communicate()
        row = connection.execute(there).fetchone()
    assert row
    assert 0 < row[0] < ALL


def test_what_is_wrong_is_told_and_nothing_is_taken_out(
    place: Place, package: Path, stores: tuple[Database, Database]
) -> None:
    one, _ = stores
    filled(one, place)
    (place.folder / "pages" / "p3.md").unlink()
    (place.folder / "pages" / "bad.md").write_bytes(b"\xff\xfe\xfa")
    assert "bad.md: byte 1 is no UTF-8" in run(place, package, one, code=2)
    with psycopg.connect(one.conninfo) as connection:
        gone = connection.execute(
            "SELECT count(*) FROM help.documents WHERE deleted_at IS NOT NULL"
        ).fetchone()
    assert gone == (0,)
