"""YAML in: what it means, where everything stands, and what is refused, on any input and in bounded time."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.model.design import Mark
from data_platform.report.finding import Finding
from data_platform.spec import document
from data_platform.spec.document import Document, SpecProblem, parse


def _parse(text: str) -> Document:
    return parse(text.encode(), "spec.yaml")


def _refused(raw: str | bytes) -> Finding:
    with pytest.raises(SpecProblem) as caught:
        parse(raw.encode() if isinstance(raw, str) else raw, "spec.yaml")
    assert len(caught.value.findings) == 1
    found = caught.value.findings[0]
    assert found.file == "spec.yaml"
    assert found.severity == "error"
    assert found.fix
    return found


# --- what scalars mean ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.INF", -math.inf),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = _parse(f"key: {text}\n").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(_parse("key: .nan").data["key"])


def test_a_number_too_long_to_be_one_is_text() -> None:
    digits = "9" * 5000
    assert _parse(f"key: {digits}").data["key"] == digits


def test_keys_are_always_text() -> None:
    assert _parse("1: a\ntrue: b\n~: c\n").data == {"1": "a", "true": "b", "~": "c"}


def test_keys_keep_their_order() -> None:
    assert list(_parse("z: 1\na: 2\nm: 3\n").data) == ["z", "a", "m"]


@pytest.mark.parametrize("raw", [b"", b"# nothing\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_nothing(raw: bytes) -> None:
    assert parse(raw, "f").data is None


def test_the_digest_is_that_of_the_file() -> None:
    raw = b"\xef\xbb\xbfkey: 1\r\n"
    assert parse(raw, "f").sha256 == hashlib.sha256(raw).hexdigest()


_PLAIN_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_PLAIN_DATA)
def test_plain_data_comes_back(data: Any) -> None:
    assert _parse(json.dumps(data, ensure_ascii=False)).data == data


# --- where things stand ---


def test_marks_are_those_of_keys_and_of_list_items() -> None:
    found = _parse("a: 1\nb:\n  - x\n  - {c: 2,  d: 3}\n")
    assert found.mark(("a",)) == Mark(1, 1)
    assert found.mark(("b", "0")) == Mark(3, 5)
    assert found.mark(("b", "1", "d")) == Mark(4, 13)


def test_a_place_that_is_not_there_has_the_mark_of_its_parent() -> None:
    found = _parse("a:\n  b: 1\n")
    assert found.mark(("a", "nothing", "here")) == Mark(1, 1)
    assert found.mark(("nothing",)) == Mark(1, 1)


def test_columns_count_characters_not_bytes() -> None:
    assert _parse("{é: 1, ü: 2}").mark(("ü",)) == Mark(1, 8)


def test_a_byte_order_mark_moves_nothing() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "f").mark(("a",)) == Mark(1, 1)


_KEYS = st.text("abcdefghijklmnopqrstuvwxyzäöé€", min_size=1, max_size=6)


@given(
    st.dictionaries(
        _KEYS, st.dictionaries(_KEYS, st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=5
    )
)
def test_every_mark_points_at_its_key(data: dict[str, dict[str, int]]) -> None:
    text = "".join(
        f"{key}:\n" + "".join(f"   {k}: {v}\n" for k, v in inner.items()) for key, inner in data.items()
    )
    found = _parse(text)
    assert found.data == data
    lines = text.splitlines()
    for path in [(key,) for key in data] + [(key, k) for key, inner in data.items() for k in inner]:
        mark = found.marks[path]
        assert lines[mark.line - 1][mark.column - 1 :].startswith(f"{path[-1]}:")


# --- aliases ---


def test_an_alias_stands_for_its_anchor() -> None:
    assert _parse("a: &x {b: [1]}\nc: *x\nd: *x\n").data == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": {"b": [1]},
    }


def test_a_place_inside_an_alias_has_the_mark_of_the_alias() -> None:
    assert _parse("a: &x {b: 1}\nc: *x\n").mark(("c", "b")) == Mark(2, 1)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert _parse("a: &x {b: 1}\nc: {<<: *x}\n").data["c"] == {"<<": {"b": 1}}


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3\n", "spec-duplicate-key", 3, 1),
        ("a: {b: 1, b: 2}\n", "spec-duplicate-key", 1, 11),
        ("a: &x [1, *x]\n", "spec-alias-cycle", 1, 11),
        ("&x {a: {b: *x}}\n", "spec-alias-cycle", 1, 12),
        ("a: 1\nb: *x\n", "spec-alias", 2, 4),
        ("a: !!python/object/apply:os.system [ls]\n", "spec-tag", 1, 4),
        ("a: !custom x\n", "spec-tag", 1, 4),
        ("a: !!int 3\n", "spec-tag", 1, 4),
        ("--- {a: 1}\n--- {b: 2}\n", "spec-many-documents", 2, 1),
        ("? [a]\n: 1\n", "spec-key", 1, 3),
        ("a: &x 1\n*x : 2\n", "spec-key", 2, 1),
        ("a: 1\n b: 2\n", "spec-not-yaml", 2, 3),
        ("a: 'open\n", "spec-not-yaml", 2, 1),
        ("a: 1\n\tb: 2\n", "spec-not-yaml", 2, 1),
        ("a: @x\n", "spec-not-yaml", 1, 4),
        ("é: 1\nß: \x07\n", "spec-not-yaml", 2, 4),
        ("a: 1\n\0", "spec-not-yaml", 2, 1),
        ('a: "x\\0y"\n', "spec-character", 1, 4),
        ('"\\0": 1\n', "spec-character", 1, 1),
        ('a: "\\ud800"\n', "spec-not-yaml", 1, 7),
        ("[" * 65, "spec-too-deep", 1, 65),
        ("a: " + "{a: " * 64, "spec-too-deep", 1, 4 * 64),
    ],
)
def test_what_is_refused_is_refused_at_its_place(text: str, rule: str, line: int, column: int) -> None:
    found = _refused(text)
    assert (found.rule, found.line, found.column) == (rule, line, column)


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"a: 1\nb: \xff\n", 2, 4),
        (b"\xef\xbb\xbfa: \xff\n", 1, 4),
        ("é: ".encode() + b"\xff", 1, 4),
        ("a: é\n".encode("latin-1"), 1, 4),
        ("a: 1\n".encode("utf-16"), 1, 1),
        (b"a: \xed\xa0\x80", 1, 4),
    ],
)
def test_what_is_not_utf8_is_refused_at_the_first_wrong_byte(raw: bytes, line: int, column: int) -> None:
    found = _refused(raw)
    assert (found.rule, found.line, found.column) == ("spec-not-utf8", line, column)


def test_depth_at_the_limit_is_fine() -> None:
    data = _parse("[" * document.MAX_DEPTH + "]" * document.MAX_DEPTH).data
    for _ in range(document.MAX_DEPTH - 1):
        (data,) = data
    assert data == []


def test_a_duplicate_key_names_the_line_of_the_first() -> None:
    assert "line 1" in _refused("a: 1\nb: 2\na: 3\n").message


def test_messages_hold_nothing_that_moves_a_terminal() -> None:
    for text in ('"\\e[31mred": 1\n"\\e[31mred": 2\n', "a: !<\x85x> 1\n", '"\\u202eab": 1\n"\\u202eab": 2'):
        assert _refused(text).message.isprintable()


# --- limits, in bounded time ---


def _seconds(raw: bytes) -> tuple[float, str]:
    started = time.process_time()
    found = _refused(raw)
    return time.process_time() - started, found.rule


def _bomb(levels: int, width: int, seed: str) -> bytes:
    lines = [f"a0: &a0 {seed}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "raw", "rule"),
    [
        ("30 MB", b"a: 1\n" * 6_000_000, "spec-too-large"),
        ("alias bomb of values", _bomb(12, 10, "x"), "spec-too-many-values"),
        ("alias bomb of empty lists", _bomb(60, 2, "[]"), "spec-too-many-values"),
        ("alias bomb of one long text", _bomb(4, 40, "x" * 100_000), "spec-too-many-values"),
        ("alias bomb of one long key", _bomb(5, 40, "{" + "k" * 1000 + ": 1}"), "spec-too-many-values"),
        ("a million brackets", b"[" * 1_000_000, "spec-too-deep"),
        ("a million braces", b"{a: " * 900_000, "spec-too-deep"),
        ("a million dashes", b"- " * 1_000_000, "spec-too-deep"),
        ("a million question marks", b"? " * 1_000_000, "spec-key"),
        ("a million values", b"[" + b"1," * 1_900_000 + b"]", "spec-too-many-values"),
        ("an open quote", b"'" + b"x" * 3_000_000, "spec-not-yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_limits_hold_quickly(name: str, raw: bytes, rule: str) -> None:
    seconds, found = _seconds(raw)
    assert found == rule, name
    assert seconds < 8, name  # the slowest takes 2.5 s on 2 cores


def test_a_file_at_the_limit_is_read() -> None:
    assert len(_parse("a: " + "x" * (document.MAX_BYTES - 4) + "\n").data["a"]) == document.MAX_BYTES - 4


# --- files ---


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("kind: model\n")
    assert document.read(path).data == {"kind": "model"}
    assert document.read(path).file == str(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        document.read(tmp_path / "no.yaml")
    assert caught.value.where == str(tmp_path / "no.yaml")
    assert caught.value.try_


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="directory"):
        document.read(tmp_path)


def test_a_file_over_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000_000)  # sparse
    with pytest.raises(SpecProblem) as caught:
        document.read(path)
    assert caught.value.findings[0].rule == "spec-too-large"


# --- any input ---


_YAML_LIKE = st.lists(
    st.sampled_from(
        [
            "a",
            ": ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "&x ",
            "*x",
            "!",
            "!!str ",
            "|\n",
            ">-\n",
            '"',
            "'",
            "#",
            "? ",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "\\",
            "\t",
            "é",
            "\u2028",
            "\ufeff",
            "0x1",
            ".inf",
            "<<",
        ]
    ),
    max_size=40,
).map("".join)


def _answers(raw: bytes) -> None:
    try:
        found = parse(raw, "spec.yaml")
    except SpecProblem as problem:
        for finding in problem.findings:
            assert finding.line is not None
            assert finding.line >= 1
            assert finding.column is not None
            assert finding.column >= 1
            assert finding.message.isprintable()
    else:
        assert all(mark.line >= 1 and mark.column >= 1 for mark in found.marks.values())


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    _answers(raw)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    _answers(text.encode("utf-8", "surrogatepass"))


@given(_YAML_LIKE)
def test_anything_like_yaml_is_read_or_refused(text: str) -> None:
    _answers(text.encode())


@given(_YAML_LIKE)
def test_agrees_with_pyyaml_on_shape(text: str) -> None:
    """Where both read it, lists and mappings are the same; only plain scalars have another schema there."""
    try:
        ours = parse(text.encode(), "spec.yaml").data
        theirs = yaml.load(text, yaml.BaseLoader)
    except (SpecProblem, yaml.YAMLError, ValueError):
        return
    assert _as_texts(ours) == _as_texts(theirs)


def _as_texts(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _as_texts(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_as_texts(value) for value in data]
    return "scalar"


# --- files ---


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path / "fifo", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(UsageProblem, match="not a regular file"):
            document.read(path)
    with pytest.raises(UsageProblem, match="a directory"):
        document.read(tmp_path)
    (tmp_path / "spec.yaml").write_text("a: 1")
    (tmp_path / "good").symlink_to("spec.yaml")
    assert document.read(tmp_path / "good").data == {"a": 1}
