r"""Files cut into pieces where psql would cut them."""

from __future__ import annotations

import time

import postgast
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_platform.sql.script import Piece, pieces
from data_platform.sql.text import NotSql


def texts(source: str | bytes) -> list[str]:
    return [piece.text for piece in pieces(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        (" ;; \n;-- nothing\n/* ; /* nested; */ ; */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\r\nSELECT 2;\r\n", ["SELECT 1", "SELECT 2"]),
        ("\ufeffSELECT 1;", ["SELECT 1"]),
        ("SELECT ';', \"a;b\", E'\\';', 'x\\'; SELECT 2", ["SELECT ';', \"a;b\", E'\\';', 'x\\'", "SELECT 2"]),
        ("SELECT 'a'';'';', U&'\\0041;', B'1', nameE'x\\'; SELECT 2", None),
        ("SELECT $$;$$, $a$ $b$;$b$ $$; $a$, a$b$; SELECT 1", None),
        ("SELECT 1 -- ; no\n, 2 /* ; /* ; */ ; */;", ["SELECT 1 -- ; no\n, 2 /* ; /* ; */ ; */"]),
        ("SELECT 1 - -1 / 2 * 3;", ["SELECT 1 - -1 / 2 * 3"]),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", None),
        ("DO $$BEGIN; END$$; SELECT 1", ["DO $$BEGIN; END$$", "SELECT 1"]),
        ("SELECT 'never ends; SELECT 2", ["SELECT 'never ends; SELECT 2"]),
        ("SELECT $x$ never; SELECT 2", ["SELECT $x$ never; SELECT 2"]),
        ("SELECT /* never; SELECT 2", ["SELECT /* never; SELECT 2"]),
        ("BEGIN; SELECT 1; END;", ["BEGIN", "SELECT 1", "END"]),
    ],
)  # fmt: skip
def test_statements(source: str, expected: list[str] | None) -> None:
    assert texts(source) == (expected or [text.strip() for text in postgast.split(source)])


ATOMIC = (
    "CREATE /* or */ OR -- not\n REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC"
    " SELECT CASE WHEN a > 1 THEN 1 END; SELECT (SELECT 2); END"
)


@pytest.mark.parametrize(
    "statement",
    [ATOMIC, ATOMIC.replace("FUNCTION", "PROCEDURE").replace("RETURNS int", "")],
    ids=["function", "procedure"],
)
def test_a_body_of_several_statements_is_one(statement: str) -> None:
    assert texts(f"{statement}; SELECT 3;") == [statement, "SELECT 3"]


PARTS = st.lists(
    st.sampled_from(
        [
            "SELECT 1",
            "SELECT ';'",
            'SELECT 1 AS "a;b"',
            "SELECT $q$;$$;$q$",
            "SELECT E'\\';'",
            "SELECT 'it''s;'",
            "SELECT é, a$b",
            "SELECT ((1))",
            "CREATE RULE r AS ON UPDATE TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 END; END",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$BEGIN; IF a THEN b; END IF; END$$",
            "SELECT 1 /* ; /* ; */ */ + 2",
            "SELECT 1 -- ; it's\n",
            "",
        ]
    ),
    max_size=6,
)


@given(PARTS, st.sampled_from([";", " ;\n", ";\r\n-- c;\n", "; /* ' */ "]))
def test_as_the_servers_parser_cuts(parts: list[str], between: str) -> None:
    source = between.join(parts)
    expected = [text.strip() for text in postgast.split(source)]
    assert [strip(text) for text in texts(source)] == [strip(text) for text in expected if strip(text)]


def strip(text: str) -> str:
    """Without the comments at the beginning, which the parser counts to the statement that follows."""
    while text.startswith(("--", "/*")):
        text = text.partition("\n")[2] if text.startswith("--") else text.partition("*/")[2]
        text = text.strip()
    return text


NASTY = st.text(st.sampled_from("ab'\"$;()\\/*-\n eE1é"), max_size=30)


@given(NASTY)
@example("a$$;$$")
@example("1$$;$$")
@example("E'\\")
def test_no_text_is_lost_and_places_are_right(source: str) -> None:
    """Whatever the text: pieces come in order, at the line and column they say."""
    try:
        found = list(pieces(source))
    except NotSql:
        return
    raw = source.encode()
    lines = source.split("\n")
    assert [piece.offset for piece in found if piece.kind != "meta"] == sorted(
        piece.offset for piece in found if piece.kind != "meta"
    )
    for piece in found:
        start = piece.text.split("\n")[0]
        assert raw[piece.offset :].decode().startswith(start) or "\\" in source
        if piece.kind == "statement" and "\\" not in source:
            assert lines[piece.line - 1][piece.column - 1 :].startswith(start)


class TestCommands:
    def test_where_psql_sees_them_only(self) -> None:
        source = "\\restrict k\nSELECT '\n\\connect a\n', $$\n\\! x\n$$, \"\n\\i y\n\";\n"
        source += "-- \\! z\n/* \\! z */\n\\connect b\n"
        found = [(piece.kind, piece.command, piece.argument, piece.line) for piece in pieces(source)]
        assert [entry for entry in found if entry[0] == "meta"] == [
            ("meta", "restrict", "k", 1),
            ("meta", "connect", "b", 11),
        ]

    def test_inside_a_statement_they_leave_a_gap(self) -> None:
        command, statement = pieces("CREATE TABLE t (\n\\echo it's\na int);")
        assert (command.kind, command.text, command.line) == ("meta", "\\echo it's", 2)
        assert (statement.text.split(), statement.line) == (["CREATE", "TABLE", "t", "(", "a", "int)"], 1)

    @pytest.mark.parametrize(
        ("source", "ended_by"),
        [
            ("SELECT 1 \\gexec\nSELECT 2;", "\\gexec"),
            ("SELECT 1 \\g | cat; x\nSELECT 2;", "\\g | cat; x"),
            ("SELECT 1\\;SELECT 2;", "\\;"),
        ],
    )
    def test_some_send_the_statement(self, source: str, ended_by: str) -> None:
        first, second = (piece for piece in pieces(source) if piece.kind == "statement")
        assert (first.text, first.ended_by, second.text) == ("SELECT 1", ended_by, "SELECT 2")

    def test_two_backslashes_end_one(self) -> None:
        assert texts("\\set a 'b c' \\\\ SELECT 1;\n\\echo a \\echo b\n") == [
            "\\set a 'b c'",
            "SELECT 1",
            "\\echo a",
            "\\echo b",
        ]

    def test_the_whole_line_belongs_to_a_shell_command(self) -> None:
        assert texts("\\! echo \\q; 'x\nSELECT 1;") == ["\\! echo \\q; 'x", "SELECT 1"]


class TestCopy:
    def test_rows_are_passed_over(self) -> None:
        source = "COPY t (a, b) FROM stdin;\n1\t'; \\! x\n2\t\\\\.\n\\.\nSELECT 1;\n"
        copy, select = pieces(source)
        start, end = copy.data
        assert (copy.kind, copy.text, source[start:end]) == (
            "copy",
            "COPY t (a, b) FROM stdin",
            "1\t'; \\! x\n2\t\\\\.\n",
        )
        assert (select.text, select.line) == ("SELECT 1", 5)

    @pytest.mark.parametrize("rows", ["", "\\.\n", "\\.\r\n", "\\.", "1\n\\.\n", "1\r\n\\.\r\n", "1"])
    def test_however_they_end(self, rows: str) -> None:
        copy, *rest = pieces(f"copy t from STDIN WITH (FORMAT csv, DELIMITER ';'); -- rows\n{rows}")
        assert copy.kind == "copy"
        assert rest == []

    @pytest.mark.parametrize(
        "statement",
        [
            "COPY t TO stdin",
            "COPY t FROM '/stdin'",
            "COPY t FROM PROGRAM 'stdin'",
            "COPY t FROM stdin x y",
            "SELECT 'copy stdin'",
        ],
    )
    def test_other_statements_have_none(self, statement: str) -> None:
        assert [piece.kind for piece in pieces(f"{statement};\nSELECT 1;")] == ["statement", "statement"]

    def test_a_statement_on_the_same_line_is_refused(self) -> None:
        with pytest.raises(NotSql, match="begin on the next line"):
            list(pieces("COPY t FROM stdin; SELECT 1;\n1\n\\.\n"))


class TestEncodings:
    @pytest.mark.parametrize(
        ("setting", "codec"),
        [
            ("SET client_encoding = 'LATIN1'", "latin-1"),
            ("set client_encoding to win1252", "cp1252"),
            ("SET NAMES 'KOI8R'", "koi8-r"),
            ("\\encoding ISO_8859_5\n", "iso8859-5"),
        ],
    )
    def test_a_file_says_its_own(self, setting: str, codec: str) -> None:
        word = "Привет" if codec in ("koi8-r", "iso8859-5") else "é"
        source = setting.encode() + b";\nSELECT '" + word.encode(codec) + b"';"
        assert texts(source)[-1] == f"SELECT '{word}'"

    def test_utf_16_as_windows_shells_write_it(self) -> None:
        assert texts("SELECT 'é';".encode("utf-16")) == ["SELECT 'é'"]

    def test_other_bytes_are_refused_where_they_are(self) -> None:
        with pytest.raises(NotSql, match="not UTF-8") as caught:
            list(pieces(b"SELECT 1;\nSELECT '\xe9';"))
        assert caught.value.offset == 18

    def test_an_encoding_with_quotes_in_its_letters_is_refused(self) -> None:
        with pytest.raises(NotSql, match="SJIS are not read"):
            list(pieces("SET client_encoding = 'SJIS';"))


def test_a_place_in_a_piece_is_one_in_the_file() -> None:
    piece = Piece("statement", "SELECT\n  x", 4, 8, 0)
    assert [piece.place(0), piece.place(7), piece.place(9)] == [(4, 8), (5, 1), (5, 3)]


def test_it_is_fast() -> None:
    """Bounds are ten times what it takes, for slow machines; what grows with the square does not stay below."""
    statements = "".join(
        f"CREATE TABLE public.t{n} (id bigint, name text DEFAULT 'x'::text);" for n in range(10_000)
    )
    began = time.process_time()
    assert len(texts(statements)) == 10_000
    assert time.process_time() - began < 2
    rows = b"COPY t FROM stdin;\n" + b"1\tit's \\\\. \n" * 2_000_000 + b"\\.\n"
    began = time.process_time()
    assert len(texts(rows)) == 1
    assert time.process_time() - began < 2
