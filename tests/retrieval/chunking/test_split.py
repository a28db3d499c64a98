"""Chunks of any text: exact offsets, nothing but white space left out, never longer than asked, the same ids again."""

from __future__ import annotations

import gc
import itertools
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.retrieval.chunking import Chunk, Document, chunked
from data_platform.retrieval.chunking.measure import Tokenizer, tokenizer
from data_platform.spec.retrieval import Chunking, Model, Strategy

STRATEGIES: tuple[Strategy, ...] = ("fixed", "recursive", "sentence", "markdown", "code", "semantic")
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            [
                "\n\n",
                "\r\n",
                "# A\n",
                "## B\n",
                "```\n# no heading\n```\n",
                "- a\n- b\n",
                "Dr. Who. ",
                "é",
                "👩‍👩‍👧",
                "中文。",
                " " * 9,
            ]
        ),
    ),
    max_size=12,
).map("".join)


def cut(
    text: str, strategy: Strategy, size: int = 1000, overlap: int = 0, uri: str = "a.md"
) -> tuple[Chunk, ...]:
    how = Chunking(strategy=strategy, size=size, overlap=overlap)
    lengths = lambda texts: [len(one) for one in texts[1:]]  # noqa: E731
    return chunked(Document(uri=uri, text=text), how, distances=lengths)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(text=TEXTS, size=st.integers(10, 60), overlap=st.integers(0, 9))
def test_laws(strategy: Strategy, text: str, size: int, overlap: int) -> None:
    chunks = cut(text, strategy, size, overlap)
    covered = bytearray(len(text))
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text) <= size
        assert chunk.text == chunk.text.strip()
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    assert not "".join(c for c, seen in zip(text, covered, strict=True) if not seen).strip()
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)
    assert chunks == cut(text, strategy, size, overlap)
    if not overlap:
        assert all(a.end <= b.start for a, b in itertools.pairwise(chunks))


def test_borders_are_the_best_within_reach() -> None:
    text = "One sentence here. Another one there.\n\nA new paragraph begins. It goes on and on."
    assert [c.text for c in cut(text, "recursive", 45)] == [
        "One sentence here. Another one there.",
        "A new paragraph begins. It goes on and on.",
    ]
    assert next(c.text for c in cut(text, "recursive", 25)) == "One sentence here."
    assert "".join(c.text for c in cut("x" * 95, "recursive", 10)) == "x" * 95


def test_overlap_begins_at_a_word() -> None:
    chunks = cut("alpha beta gamma delta epsilon zeta eta theta iota", "recursive", 20, 8)
    for before, after in itertools.pairwise(chunks):
        assert after.start < before.end
        assert after.text.split()[0] in before.text.split()


def test_sentences_stay_whole_and_abbreviations_end_none() -> None:
    text = "Dr. Smith met J. Doe, e.g. at noon. They spoke! Did they? Yes."
    assert [c.text for c in cut(text, "sentence", 36)] == [
        "Dr. Smith met J. Doe, e.g. at noon.",
        "They spoke! Did they? Yes.",
    ]


MARKDOWN = """---
title: x
---
Intro.

# Setup

Text of setup.

```bash
# no heading
make all
```

Sub
---

| a | b |
|---|---|
| 1 | 2 |

# Usage
- one
- two
"""


def test_markdown_keeps_headings_and_blocks() -> None:
    chunks = cut(MARKDOWN, "markdown", 60)
    by_text = {c.text: c.headings for c in chunks}
    fence = next(text for text in by_text if "no heading" in text)
    table = next(text for text in by_text if "| 1 |" in text)
    assert fence.startswith("```bash") or "Text of setup" in fence
    assert fence.endswith("```")
    assert by_text[fence] == ("Setup",)
    assert by_text[table] == ("Setup", "Sub")
    assert next(c for c in chunks if "- two" in c.text).headings == ("Usage",)


def test_a_heading_with_nothing_under_it_is_no_chunk() -> None:
    (one,) = cut("# Account\n\n## Password\n\nChoose forgotten.\n", "markdown")
    assert one.text.startswith("# Account")
    assert one.headings == ("Account", "Password")


def test_an_unchanged_chunk_keeps_its_id_wherever_it_moves() -> None:
    first = {c.text: c.id for c in cut("# A\n\nalpha\n\n# B\n\nbeta\n", "markdown", 20)}
    again = {c.text: c.id for c in cut("# New\n\nnew\n\n# A\n\nalpha\n\n# B\n\nbeta\n", "markdown", 20)}
    assert {text: again[text] for text in first} == first
    twice = cut("samesame\n\nsamesame\n\nsamesame", "recursive", 10)
    assert len({c.id for c in twice}) == 3


PYTHON = '''"""Doc."""
import os


@decorated
def first():
    return 1


class Second:
    def method(self):
        return 2

    def other(self):
        return 3
'''


def test_code_is_cut_between_definitions() -> None:
    chunks = cut(PYTHON, "code", 70, uri="m.py")
    assert any(c.text.startswith("@decorated\ndef first") and c.headings == ("first",) for c in chunks)
    assert any(c.text.startswith("class Second") and c.headings == ("Second",) for c in chunks)
    script = "function a() {\n  return 1\n}\n\nfunction b() {\n  return 2\n}\n"
    assert [c.text.split("(")[0] for c in cut(script, "code", 32, uri="m.js")] == ["function a", "function b"]
    assert cut("def broken(:\n  pass\n", "code", 40, uri="m.py")


@pytest.mark.parametrize("strategy", ["recursive", "markdown", "sentence", "code"])
def test_time_grows_with_the_text_and_no_faster(strategy: Strategy) -> None:
    def seconds(repeats: int) -> float:
        text = "A line of words that is a sentence. And one more.\n\n" * repeats
        gc.disable()  # its time grows with all that the tests before this one have left
        try:
            started = time.process_time()
            cut(text, strategy, 500)
            return time.process_time() - started
        finally:
            gc.enable()

    # The least of three: another process on the machine makes a run longer, never shorter.
    few, many = (min(seconds(repeats) for _ in range(3)) for repeats in (2_000, 16_000))
    assert many < 16 * max(few, 0.01)


def test_empty_and_blank_texts_have_no_chunks() -> None:
    for text in ("", " \n\t\r\n"):
        for strategy in STRATEGIES:
            assert cut(text, strategy) == ()


def test_tokens_are_counted_by_the_tokenizer(tokenizer_file: Path) -> None:
    ruler = tokenizer(tokenizer_file)
    text = "unbelievable words and more words, several of them; " * 40 + "中文字符" * 30
    how = Chunking(strategy="recursive", size=16, overlap=4, unit="tokens")
    chunks = chunked(Document(uri="a", text=text), how, ruler)
    for chunk in chunks:
        assert chunk.tokens == ruler.counts([chunk.text])[0] <= 16
        assert text[chunk.start : chunk.end] == chunk.text
    assert "".join(text.split()) in "".join(
        "".join(c.text.split())
        for c in chunked(Document(uri="a", text=text), Chunking(size=16, unit="tokens"), ruler)
    )


@pytest.fixture(scope="module")
def in_bytes() -> Tokenizer:
    """A tokenizer that puts a space before each text: a piece may have one token more alone than in the text."""
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    inner.train_from_iterator(
        ["some words and more of them\n", "| a | b |\n|---|---|\n| 1 | 2 |\n"] * 20, trainer
    )
    return Tokenizer(inner)


@pytest.mark.parametrize("overlap", [0, 7])
@pytest.mark.parametrize("size", [8, 9, 13])
def test_no_chunk_has_more_tokens_alone_than_it_may(in_bytes: Tokenizer, size: int, overlap: int) -> None:
    rows = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    family = "\u200d".join("👩👩👧👦")
    text = f"{rows}{'x' * 150} z{chr(0x301) * 40} {family} 中文。{rows}word \r\n{rows}"
    for strategy in ("fixed", "recursive", "sentence", "markdown"):
        how = Chunking(strategy=strategy, size=size, overlap=overlap, unit="tokens")  # type: ignore[arg-type]
        found = chunked(Document(uri="a.md", text=text), how, in_bytes)
        assert max(in_bytes.counts([one.text for one in found])) <= size
        assert [one.tokens for one in found] == in_bytes.counts([one.text for one in found])
        assert all(text[one.start : one.end] == one.text for one in found)
        assert [one.start for one in found] == sorted(one.start for one in found)
        kept = {place for one in found for place in range(one.start, one.end)}
        assert not "".join(each for at, each in enumerate(text) if at not in kept).strip()


def test_a_piece_without_tokens_is_no_overlap(minilm: Model) -> None:
    text = "One sentence here.\n\n\u200b\n\nAnother sentence there, and some words more.\n\n\u200b\n\nA third one."
    for size in range(10, 20):
        how = Chunking(strategy="sentence", size=size, unit="tokens")
        found = chunked(Document(uri="a.txt", text=text), how, tokenizer(Path(minilm.tokenizer or "")))
        assert all(one.end <= other.start for one, other in pairwise(found))
