"""Markdown is read back by an independent parser: what it finds is what the report said, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from data_platform.report.document import (
    STATES,
    Bars,
    Block,
    Bullets,
    Check,
    Checklist,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
    shown,
    shown_block,
    shown_words,
)
from data_platform.report.markdown import markdown

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

PUNCTUATION = "`|\\*_[]()<>&#~$-+=.!:;\"'1a \t\n\r\0\u2028\u202e\u200b\ud800é馬"
ANY_TEXT = st.text(st.sampled_from(PUNCTUATION) | st.characters(exclude_categories=()), max_size=60)


def report(*pieces: Piece, title: Inline = "A finding", verdict: str = "proven") -> Report:
    return Report(title=title, verdict=verdict, good=True, pieces=pieces)


def parsed(*pieces: Piece) -> list[Token]:
    """The tokens of the pieces alone, without title and verdict."""
    return PARSER.parse(markdown(report(*pieces)))[6:]


def outline(tokens: list[Token]) -> list[str]:
    return [token.type for token in tokens if token.level == 0 and token.nesting >= 0]


def runs(tokens: list[Token]) -> list[list[Token]]:
    return [token.children or [] for token in tokens if token.type == "inline"]


def only_code(children: list[Token]) -> str:
    assert [child.type for child in children] == ["code_inline"]
    return children[0].content


def only_words(children: list[Token]) -> str:
    assert {child.type for child in children} <= {"text"}
    return "".join(child.content for child in children)


def read_back(text: str) -> str:
    """What a parser gives for a code span; only the empty text, which Markdown cannot say, is a space."""
    return shown(Code(text)) or " "


WHOLE = Report(
    title=("Migration ", Code("0007_widen_amount"), ": blocks every client for 0.6 s per million rows"),
    verdict="failed",
    good=False,
    summary="1 of 2 statements stalls readers and writers; 1 is safe.",
    pieces=(
        Paragraph(("At ", Code("orders"), " = 40,000,000 (declared): about ~24 s of outage.")),
        Table(
            ("#", "statement", "time", "stall"),
            (
                ("1", Code("ALTER TABLE orders ALTER amount TYPE bigint"), "0.60 s", Strong("0.61 s")),
                ("2", Code("UPDATE t SET a = b || '`x`'"), "0.00 s", "0.00 s"),
            ),
            frozenset({0, 2, 3}),
        ),
        Heading("Checklist"),
        Checklist(
            (
                Check("Every key has an index.", "proven", "19 of 19"),
                Check("Locks are short", "failed", (Code("orders"), " was locked for 0.61 s")),
                Check("Replicas keep up", "not checked", "there is none here"),
            )
        ),
        Heading("Time"),
        Bars("ms", ((Code("revenue"), 41.8), (Code("by email"), 0.04), ("nothing", 0))),
        Heading("Repeat"),
        Bullets(("Not checked: production I/O.", "- a dash")),
        Block("dpe migration prove ...\n", "sh"),
    ),
)

WHOLE_TEXT = r"""# Migration `0007_widen_amount`: blocks every client for 0.6 s per million rows

**Verdict: failed.** 1 of 2 statements stalls readers and writers; 1 is safe.

At `orders` = 40,000,000 (declared): about \~24 s of outage.

|   # | statement                                     |   time |      stall |
| --: | --------------------------------------------- | -----: | ---------: |
|   1 | `ALTER TABLE orders ALTER amount TYPE bigint` | 0.60 s | **0.61 s** |
|   2 | ``UPDATE t SET a = b \|\| '`x`'``             | 0.00 s |     0.00 s |

## Checklist

1 proven, 1 failed, 1 not checked:

- [x] Every key has an index: 19 of 19
- [ ] ✗ **failed** Locks are short: `orders` was locked for 0.61 s
- [ ] – **not checked** Replicas keep up: there is none here

## Time

|            |     ms |                          |
| ---------- | -----: | ------------------------ |
| `revenue`  | 41.800 | ████████████████████████ |
| `by email` |  0.040 | ▏                        |
| nothing    |  0.000 |                          |

## Repeat

- Not checked: production I/O.
- \- a dash

```sh
dpe migration prove ...
```
"""


def test_a_whole_report() -> None:
    assert markdown(WHOLE) == WHOLE_TEXT


def test_the_same_report_gives_the_same_bytes() -> None:
    assert markdown(WHOLE) == markdown(WHOLE)


@pytest.mark.parametrize(
    ("verdict", "line"), [("proven", "proven."), ("is it?", "is it?"), (" a_b* ", r"a_b\*.")]
)
def test_the_verdict_is_one_bold_sentence(verdict: str, line: str) -> None:
    assert f"\n\n**Verdict: {line}**\n" in markdown(report(verdict=verdict))


# Tables ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(ANY_TEXT, min_size=n, max_size=n), min_size=1)))
@example([["\\|", "|", "\\", "`", "``", " ", ""]])
@example([["a\n|---|\n", "\\\\|", "`|`", " x", "x ", " x ", "\\`|"]])
def test_a_table_keeps_its_shape_whatever_its_code_holds(rows: list[list[str]]) -> None:
    columns = tuple(f"column {n}" for n in range(len(rows[0])))
    tokens = parsed(Table(columns, tuple(tuple(map(Code, row)) for row in rows)))
    assert outline(tokens) == ["table_open"]
    assert len([token for token in tokens if token.type == "tr_open"]) == 1 + len(rows)
    header, cells = runs(tokens)[: len(columns)], runs(tokens)[len(columns) :]
    assert tuple(map(only_words, header)) == columns
    assert [only_code(cell) for cell in cells] == [read_back(text) for row in rows for text in row]


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1))
def test_words_in_a_table_are_words(rows: list[tuple[str, str]]) -> None:
    tokens = parsed(Table(rows[0], tuple(rows[1:]), frozenset({1})))
    assert outline(tokens) == ["table_open"]
    cells = [only_words(cell).strip() for cell in runs(tokens)]
    assert cells == [shown_words(text).strip() for row in rows for text in row]


@given(st.integers(1, 7), st.sets(st.integers(0, 6)))
def test_numeric_columns_are_aligned_right(columns: int, numeric: set[int]) -> None:
    tokens = parsed(Table(("a",) * columns, (("1",) * columns,), frozenset(numeric)))
    styles = [token.attrGet("style") for token in tokens if token.type in ("th_open", "td_open")]
    assert styles == ["text-align:right" if n in numeric else None for n in range(columns)] * 2


def test_pipes_stand_below_each_other_and_a_long_cell_does_not_widen_every_row() -> None:
    rows = (("馬", "1"), (Code("é"), "22"), (Code("x" * 100), "333"))
    lines = markdown(report(Table(("name", "rows"), rows, frozenset({1})))).splitlines()[4:]
    assert lines[:4] == ["| name | rows |", "| ---- | ---: |", "| 馬   |    1 |", "| `é`  |   22 |"]
    assert lines[4] == f"| `{'x' * 100}` |  333 |"


def test_more_than_seven_columns_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="8 columns"):
        markdown(report(Table(("a",) * 8, ())))


# Spans -----------------------------------------------------------------------------------------------------


@given(ANY_TEXT, ANY_TEXT)
@example("`", "`")
@example("", "")
def test_code_comes_back_whole_beside_other_code(one: str, other: str) -> None:
    children = runs(parsed(Paragraph((Code(one), Code(other)))))[0]
    assert [child.content for child in children] == [read_back(one), " ", read_back(other)]
    assert [child.type for child in children] == ["code_inline", "text", "code_inline"]


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_words_around_code_do_not_reach_into_it(before: str, code: str, after: str) -> None:
    tokens = parsed(Paragraph((before, Code(code), after)))
    assert outline(tokens) == ["paragraph_open"]
    children = runs(tokens)[0]
    assert {child.type for child in children} <= {"text", "code_inline"}
    assert [child.content for child in children if child.type == "code_inline"] == [read_back(code)]
    assert words_of(children).strip() == (shown_words(before) + shown_words(after)).strip()


def words_of(children: list[Token]) -> str:
    return "".join(child.content for child in children if child.type == "text")


def containers(text: str) -> Iterator[tuple[Piece, list[str]]]:
    yield Heading(text), ["heading_open"]
    yield Paragraph(text), ["paragraph_open"]
    yield Bullets((text, text)), ["bullet_list_open"]


@given(ANY_TEXT)
@example("1. one")
@example("1) one")
@example("- - -")
@example("---")
@example("--")
@example("+ a")
@example("> a")
@example("# a #")
@example("    a")
@example("~~a~~ __b__ _c_ **d** [e](f) ![g](h) <i> &amp; `j` \\k <https://l> [m]: n")
def test_words_are_never_markup(text: str) -> None:
    words = shown_words(text).strip()
    for piece, expected in containers(text):
        tokens = parsed(piece)
        assert outline(tokens) == expected or not words
        assert {only_words(children).strip() for children in runs(tokens)} <= {words}


@pytest.mark.parametrize(
    "text", ["p95 < 10 ms", "snake_case", "-5 %", "1.5 s", "R&D", "a > b", "18.6, 3:4", "x = y"]
)
def test_ordinary_words_stay_readable(text: str) -> None:
    assert f"\n\n{text}\n" in markdown(report(Paragraph(text)))


@pytest.mark.parametrize("text", ["0.61 s", " * ", "a*b", "(x).", "\\"])
def test_strong_words_are_strong(text: str) -> None:
    children = runs(parsed(Paragraph(("took ", Strong(text), " here"))))[0]
    assert [child.type for child in children] == ["text", "strong_open", "text", "strong_close", "text"]
    assert children[2].content == text.strip()


# Blocks and lists ------------------------------------------------------------------------------------------


@given(ANY_TEXT, ANY_TEXT)
@example("```\n~~~\n````", "sql")
@example("\n", "`x` y")
def test_a_block_comes_back_whole(text: str, language: str) -> None:
    tokens = parsed(Block(text, language), Paragraph("after"))
    assert outline(tokens) == ["fence", "paragraph_open"]
    assert tokens[0].content == shown_block(text) + "\n"


@given(ANY_TEXT, ANY_TEXT)
def test_every_check_is_one_line_with_its_state(claim: str, reason: str) -> None:
    checks = tuple(Check(Code(claim), state, Code(reason)) for state in STATES)
    tokens = parsed(Checklist(checks))
    assert outline(tokens) == ["paragraph_open", "bullet_list_open"]
    counts, *lines = runs(tokens)
    assert only_words(counts) == "1 proven, 1 failed, 1 not checked:"
    assert [words_of(line) for line in lines] == ["[x] : ", "[ ] ✗ failed : ", "[ ] – not checked : "]
    codes = [[child.content for child in line if child.type == "code_inline"] for line in lines]
    assert codes == [[read_back(claim), read_back(reason)]] * 3


def test_an_empty_checklist_says_so() -> None:
    assert "Nothing to check." in markdown(report(Checklist(())))


@given(st.lists(st.tuples(ANY_TEXT.map(Code), st.floats(0, 1e12)), min_size=1))
def test_bars_are_a_table(bars: list[tuple[Code, float]]) -> None:
    tokens = parsed(Bars("ms", tuple(bars)))
    assert outline(tokens) == ["table_open"]
    cells = [words_of(cell) or [child.content for child in cell] for cell in runs(tokens)][3:]
    drawn = Bars("ms", tuple(bars))
    assert cells[0::3] == [[read_back(label.text)] for label, _ in bars]
    assert cells[1::3] == list(drawn.figures())
    assert [bool(bar) for bar in cells[2::3]] == [share > 0 for share in drawn.shares()]
