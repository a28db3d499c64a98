"""Every SQL block of every reference runs, and wrong ones are wrong.

The ```sql blocks of one file run in order in one new database, as a superuser, on the embedded server:

    -- wrong: 23505         first line: the last statement must fail with this SQLSTATE, those before it must not
    -- wrong: data          first line: shown wrong by an `-- expect:` in the block
    -- wrong: plan          first line: shown wrong by an `-- expect plan:` or `-- expect plan not:` in the block
    -- needs: 18            below that major version the block is skipped
    -- as: some_role        what follows runs as that role
    -- expect: 1 | red      all rows of the query before it, a line a row, columns divided by ` | `; NULL is `null`,
                            no row is `(no rows)`, and a statement without rows gives its tag, such as `UPDATE 0`
    -- expect plan: TEXT    EXPLAIN of the statement before it holds the text; `-- expect plan not: TEXT`: does not

A block without `wrong` must succeed, and commits. A wrong block is rolled back, so the right one after it starts where
the wrong one did. Each block has a session of its own, so that no role and no setting reaches the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server

from .blocks import BadBlock, Block, block, read_blocks
from .play import Broken, Document, open_document

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "references").glob("*.md"), *(ROOT / "_shared" / "references").glob("*.md")])
CASES = [(path, number, found) for path in FILES for number, found in enumerate(read_blocks(path))]


UNINDEXED = """
SELECT conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND NOT EXISTS (
    SELECT FROM pg_index, LATERAL (SELECT string_to_array(indkey::text, ' ')::smallint[]) AS i (columns)
    WHERE indrelid = conrelid
      AND (columns[:cardinality(conkey)] @> conkey OR indisunique AND columns <@ conkey))
"""


@pytest.mark.parametrize(
    ("path", "number"),
    [(path, number) for path, number, _ in CASES],
    ids=[found.name for _, _, found in CASES],
)
def test_block_does_what_its_file_says(document: Callable[[Path], Document], path: Path, number: int) -> None:
    opened = document(path)
    wanted = opened.blocks[number]
    if opened.too_old_for(wanted):
        pytest.skip(f"needs PostgreSQL {wanted.needs}, this is {opened.version}")
    opened.check(number)
    if wanted is opened.blocks[-1]:
        assert unindexed_foreign_keys(opened) == [], "right blocks index every foreign key"


def unindexed_foreign_keys(document: Document) -> list[str]:
    with closing(connect(document.conninfo, read_only=True)) as connection:
        return [name for (name,) in connection.execute(UNINDEXED)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_shown_wrong_is_shown_right_below(path: Path) -> None:
    sections: dict[str, list[Block]] = {}
    for found in read_blocks(path):
        sections.setdefault(found.heading, []).append(found)
    for heading, blocks in sections.items():
        first = next((at for at, found in enumerate(blocks) if found.wrong), None)
        assert first is None or not all(found.wrong for found in blocks[first:]), f"{path.name}: {heading}"


HOLDS = [
    "SELECT 1, NULL\n-- expect: 1 | null",
    "VALUES (1), (2)\n-- expect: 1\n-- expect: 2",
    "SELECT 1 WHERE false\n-- expect: (no rows)",
    "UPDATE kept SET id = 2 WHERE false\n-- expect: UPDATE 0",
    "SELECT FROM kept\n-- expect plan: Seq Scan on kept\n-- expect plan not: Index",
    "-- wrong: 22012\nSELECT 1; SELECT 1/0;",
    "-- wrong: data\nDROP TABLE kept; SELECT to_regclass('kept');\n-- expect: null",
    "-- needs: 99\nSELECT nonsense();",
    "-- as: pg_monitor\nSELECT current_user;\n-- expect: pg_monitor",
    "BEGIN; SELECT ';' AS \"--\"; COMMIT;",
]
BREAKS = [
    ("SELECT 1\n-- expect: 2", "expect '2', got:\n1"),
    ("VALUES (1), (2)\n-- expect: 1", "got:\n1\n2"),
    ("SELECT 1\n-- expect: (no rows)", "got:\n1"),
    ("SELECT FROM kept\n-- expect plan: Index", "Seq Scan on kept"),
    ("SELECT FROM kept\n-- expect plan not: Seq Scan", "Seq Scan on kept"),
    ("SELECT 1/0", "22012 division by zero"),
    ("-- wrong: 22012\nSELECT 1", "22012 expected, got success"),
    ("-- wrong: 22012\nSELECT nonsense()", "22012 expected, got 42883"),
    ("-- wrong: 22012\nSELECT 1/0; SELECT 1/0", "22012 division by zero"),
    ("-- wrong: data\nSELECT 1;\n-- expect: 2", "got:\n1"),
    ("-- wrong: data\nSELECT 1;\n-- expect: 1\nCOMMIT;", "must not end its transaction"),
    ("BEGIN", "a right one must"),
    ("-- as: nobody_at_all\nSELECT 1", "22023"),
]
MALFORMED = [
    "-- wrong: data\nSELECT 1",
    "-- wrong: plan\nSELECT 1\n-- expect: 1",
    "-- wrong: 123\nSELECT 1",
    "-- wrong\nSELECT 1",
    "SELECT 1;\n-- wrong: 22012\nSELECT 1/0",
    "SELECT 1;\n-- expects: 1",
    "SELECT 1;\n--expect: 1",
    "SELECT 1;\n  -- expect: 1",
    "-- expect: 1\nSELECT 1",
    "-- expect: 1",
]


@pytest.fixture(scope="module")
def prepared(server: Server) -> Iterator[Document]:
    with open_document(server, [written("CREATE TABLE kept (id int)")]) as opened:
        opened.check(0)
        yield opened


def written(text: str) -> Block:
    return block(Path("x.md"), 10, "", text)


def play(prepared: Document, text: str) -> None:
    Document(prepared.conninfo, prepared.version, [written(text)]).check(0)


@pytest.mark.parametrize("text", HOLDS)
def test_a_true_block_passes(prepared: Document, text: str) -> None:
    play(prepared, text)


@pytest.mark.parametrize(("text", "message"), BREAKS)
def test_an_untrue_block_fails_and_leaves_the_next_one_alone(
    prepared: Document, text: str, message: str
) -> None:
    with pytest.raises(Broken) as caught:
        play(prepared, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.md:1")
    play(prepared, "SELECT current_setting('is_superuser'), to_regclass('kept')\n-- expect: on | kept")


@pytest.mark.parametrize("text", MALFORMED)
def test_a_directive_that_is_none_is_no_comment(text: str) -> None:
    with pytest.raises(BadBlock):
        written(text)


def test_a_failure_is_told_at_its_line() -> None:
    steps = written("-- wrong: data\n-- a remark\nSELECT 1;\n\nSELECT\n  2;\n-- expect: 2\n").steps
    assert [(step.line, step.key) for step in steps] == [(12, "sql"), (14, "sql"), (16, "expect")]


@pytest.mark.parametrize(
    ("index", "missing"), [("(b, a)", []), ("(b)", ["child_a_b_fkey"]), ("(c, a, b)", ["child_a_b_fkey"])]
)
def test_a_foreign_key_without_index_is_seen(server: Server, index: str, missing: list[str]) -> None:
    parent = "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));"
    child = "CREATE TABLE child (a int, b int, c int, FOREIGN KEY (a, b) REFERENCES parent);"
    with open_document(server, [written(f"{parent} {child} CREATE INDEX ON child {index};")]) as opened:
        opened.check(0)
        assert unindexed_foreign_keys(opened) == missing


def test_blocks_before_the_wanted_one_run_once(server: Server) -> None:
    texts = [
        "CREATE TABLE once (id int)",
        "SELECT 1/0",
        "INSERT INTO once VALUES (1)",
        "TABLE once\n-- expect: 1",
    ]
    with open_document(server, [written(text) for text in texts]) as opened:
        opened.check(3)
        opened.check(0)
        with pytest.raises(Broken, match="22012"):
            opened.check(1)


def test_roles_of_a_file_end_with_it(server: Server) -> None:
    for _ in range(2):
        with open_document(
            server, [written("CREATE ROLE left_over; CREATE TABLE t (); GRANT ALL ON t TO left_over")]
        ) as opened:
            opened.check(0)
