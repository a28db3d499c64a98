"""Files as programs leave them: half written, empty, hidden, packed, marked, renamed, and while they change."""

from __future__ import annotations

import gzip
import io
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.pipeline.streams import Place, new_units
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.server import Database
from pipeline.running import ask, do, spec_of

SPEC = """
pattern: incremental
retries: 0
sources: [{name: t, path: 'in/*.csv', columns: {a: int, b: text}}]
targets: [{table: w.t, from: t, key: [a]}]
"""
KEYLESS = SPEC.replace(", key: [a]", "")
ALL = "SELECT a, b FROM w.t ORDER BY a"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_what_is_not_written_yet_is_left_until_it_is(database: Database, folder: Path) -> None:
    """Without a key a file that was loaded while it was empty could never be read again."""
    (folder / "1.csv").write_text("a,b\n1,x\n")
    (folder / "2.csv").write_bytes(b"")
    (folder / ".3.csv").write_text("a,b\n7,half a")
    do(database, folder.parent, KEYLESS)
    (folder / "2.csv").write_text("a,b\n2,y\n")
    do(database, folder.parent, KEYLESS)
    assert ask(database, ALL) == [(1, "x"), (2, "y")]


def test_a_file_by_its_name_that_is_empty_is_told(database: Database, folder: Path) -> None:
    (folder / "1.csv").write_bytes(b"")
    with pytest.raises(UsageProblem, match="the file is empty"):
        do(database, folder.parent, SPEC.replace("*", "1"))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_marks_and_packing_are_no_part_of_the_text(database: Database, folder: Path, kind: str) -> None:
    lines = "a,b\n{},x\n" if kind == "csv" else '{{"a": {}, "b": "x"}}\n'
    (folder / f"1.{kind}").write_bytes(b"\xef\xbb\xbf" + lines.format(1).encode())
    (folder / f"2.{kind}").write_bytes(gzip.compress(lines.format(2).encode()))
    do(database, folder.parent, SPEC.replace("csv", kind))
    assert ask(database, ALL) == [(1, "x"), (2, "x")]


def test_what_is_cut_off_or_packed_otherwise_is_told(database: Database, folder: Path) -> None:
    (folder / "1.csv").write_bytes(gzip.compress(b"a,b\n1,x\n" * 1000)[:-9])
    with pytest.raises(Passing, match="cut off"):
        do(database, folder.parent, SPEC)
    (folder / "1.csv").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(UsageProblem, match="zstd"):
        do(database, folder.parent, SPEC)
    (folder / "1.csv").write_bytes(b"a,b\r1,x\r")
    with pytest.raises(UsageProblem, match="carriage return"):
        do(database, folder.parent, SPEC)


def test_parquet_that_is_damaged_or_of_another_type_is_told(database: Database, folder: Path) -> None:
    spec = SPEC.replace("csv", "parquet").replace(", columns: {a: int, b: text}", "")
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), folder / "1.parquet")
    do(database, folder.parent, spec)
    held = io.BytesIO()
    pq.write_table(pa.table({"a": [3, 4] * 5000, "b": ["x", "y"] * 5000}), held)
    raw = held.getvalue()
    for data, kind in [
        (raw[:-20], Passing),  # still being written
        (raw[:200] + raw[180:], EnvironmentProblem),
        (b"hello, this is no Parquet", UsageProblem),
    ]:
        (folder / "2.parquet").write_bytes(data)
        with pytest.raises(kind, match=r"2\.parquet"):
            do(database, folder.parent, spec)
    pq.write_table(pa.table({"a": ["6"], "b": ["z"]}), folder / "2.parquet")
    with pytest.raises(
        UsageProblem, match=r"2\.parquet: `t` does not fit into w\.t: column .a. is of type bigint"
    ):
        do(database, folder.parent, spec)
    assert ask(database, ALL) == [(1, "x")]


def test_a_renamed_file_is_not_loaded_again_without_a_key(database: Database, folder: Path) -> None:
    (folder / "1.csv").write_text("a,b\n1,x\n")
    do(database, folder.parent, KEYLESS)
    (folder / "1.csv").rename(folder / "done-1.csv")
    with pytest.raises(UsageProblem, match=r"was loaded as in/1\.csv"):
        do(database, folder.parent, KEYLESS)
    assert ask(database, ALL) == [(1, "x")]


def test_a_file_that_changes_while_it_is_read_is_read_again(database: Database, folder: Path) -> None:
    path = folder / "1.csv"
    path.write_text("a,b\n" + "".join(f"{n},x\n" for n in range(200_000)))
    done = threading.Event()

    def grow() -> None:
        number = 200_000
        while not done.wait(0.005):
            with path.open("a") as out:
                out.write(f"{number},y\n")
            number += 1

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        with pytest.raises(Passing, match="changed while it was read"):
            do(database, folder.parent, KEYLESS)
    finally:
        done.set()
        growing.join()
    assert ask(database, "SELECT to_regclass('w.t')") == [(None,)]
    do(database, folder.parent, KEYLESS)
    assert ask(database, "SELECT count(*), count(DISTINCT a) FROM w.t") == [
        (path.read_text().count("\n") - 1,) * 2
    ]


def test_a_file_that_is_taken_away_is_told(folder: Path) -> None:
    (folder / "1.csv").write_text("a,b\n1,x\n")
    (folder / "2.csv").write_text("a,b\n2,x\n")
    source = spec_of(folder.parent, SPEC).sources[0]
    units = new_units(source, Place("", folder.parent), {}, repeats=True)
    first = next(units)
    first.refuse_changed()
    (folder / "2.csv").unlink()
    with pytest.raises(Passing, match="is gone"):
        next(units)
    (folder / "1.csv").replace(folder / "3.csv")
    with pytest.raises(Passing, match="is gone"):
        first.refuse_changed()


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [
        ("windows-1252", "cp1252", "é€"),
        ("cp1252", "cp1252", "é€"), ("KOI8R", "koi8_r", "Ж"), ("koi8u", "koi8_u", "ї"),
        ("iso-8859-15", "iso8859_15", "€"), ("SJIS", "shift_jis", "表"), ("GBK", "gbk", "表"), ("WIN866", "cp866", "Ж"),
    ],
)  # fmt: skip
def test_encodings_by_the_names_that_people_write(
    database: Database, folder: Path, name: str, codec: str, text: str
) -> None:
    (folder / "1.csv").write_bytes(f"a,b\n1,{text}\n2,x,torn\n".encode(codec))
    spec = SPEC.replace("'in/*.csv'", f"'in/*.csv', csv: {{encoding: '{name}'}}")
    assert do(database, folder.parent, spec).counts.quarantined == 1
    assert ask(database, ALL) == [(1, text)]


@pytest.mark.parametrize("name", ["utf-16", "nonsense"])
def test_an_encoding_that_there_is_not(database: Database, folder: Path, name: str) -> None:
    (folder / "1.csv").write_bytes("a,b\n1,x\n".encode("utf-16"))
    spec = SPEC.replace("'in/*.csv'", f"'in/*.csv', csv: {{encoding: '{name}'}}")
    with pytest.raises(Problem, match=f"reads no {name}"):
        do(database, folder.parent, spec)
