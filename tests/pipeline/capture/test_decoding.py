"""Messages in, values out; and what changes come to, against a model that applies them one by one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.replication.decoding import (
    UNCHANGED,
    Begin,
    Change,
    Column,
    Commit,
    Delete,
    Insert,
    Table,
    Truncate,
    Update,
    Value,
    Values,
    decode,
    lsn_of,
    lsn_text,
)
from data_platform.postgres.replication.netting import Net

VALUES = st.lists(st.one_of(st.none(), st.just(UNCHANGED), st.binary(max_size=40)), max_size=6).map(tuple)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
OIDS = st.integers(0, 2**32 - 1)
LSNS = st.integers(0, 2**63 - 1)


def written(values: Values) -> bytes:
    parts = [struct.pack("!h", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            parts.append(b"t" + struct.pack("!i", len(value)) + value)
    return b"".join(parts)


@given(OIDS, VALUES, st.none() | VALUES, st.booleans())
def test_rows_come_out_as_they_went_in(oid: int, new: Values, old: Values | None, whole: bool) -> None:
    head = struct.pack("!I", oid)
    assert decode(b"I" + head + b"N" + written(new)) == Insert(oid, new)
    before = b"" if old is None else (b"O" if whole else b"K") + written(old)
    assert decode(b"U" + head + before + b"N" + written(new)) == Update(
        oid, old, whole and old is not None, new
    )
    assert decode(b"D" + head + b"K" + written(new)) == Delete(oid, new)


@given(
    OIDS,
    NAMES,
    NAMES,
    st.lists(st.tuples(NAMES, OIDS, st.integers(-1, 2**31 - 1), st.booleans()), max_size=5),
)
def test_descriptions_come_out_as_they_went_in(
    oid: int, schema: str, name: str, columns: list[tuple[str, int, int, bool]]
) -> None:
    raw = b"R" + struct.pack("!I", oid) + schema.encode() + b"\0" + name.encode() + b"\0d"
    raw += struct.pack("!h", len(columns))
    for column, type_, modifier, key in columns:
        raw += struct.pack("!b", key) + column.encode() + b"\0" + struct.pack("!Ii", type_, modifier)
    assert decode(raw) == Table(oid, schema, name, "d", tuple(Column(*one) for one in columns))


@given(LSNS, LSNS, st.lists(OIDS, min_size=1, max_size=4))
def test_the_rest(one: int, other: int, oids: list[int]) -> None:
    assert decode(b"B" + struct.pack("!qqi", one, 0, 7)) == Begin(one)
    assert decode(b"C" + struct.pack("!bqqq", 0, one, other, 0)) == Commit(other)
    raw = b"T" + struct.pack("!ib", len(oids), 1) + struct.pack(f"!{len(oids)}I", *oids)
    assert decode(raw) == Truncate(tuple(oids))
    assert lsn_of(lsn_text(one)) == one


def test_what_is_not_of_rows_is_left_out_and_what_is_unknown_is_told() -> None:
    assert decode(b"M whatever") is None
    with pytest.raises(EnvironmentProblem, match="does not know"):
        decode(b"Z")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "update", "move", "delete", "truncate"]),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([None, b"", b"x", b"yy", UNCHANGED]),
    ),
    max_size=25,
)


@given(st.sets(st.integers(0, 3)), STEPS)
def test_the_net_is_what_the_changes_come_to(
    there: set[int], steps: list[tuple[str, int, int, Value]]
) -> None:
    start: dict[bytes, Value] = {b"%d" % key: b"long %d" % key for key in there}
    rows, net = dict(start), Net((0,))
    for kind, key_number, other_number, value in steps:
        key, other = b"%d" % key_number, b"%d" % other_number
        change: Change | None = None
        if kind == "insert" and key not in rows and value is not UNCHANGED:
            rows[key] = value
            change = Insert(1, (key, value))
        elif kind == "update" and key in rows:
            rows[key] = rows[key] if value is UNCHANGED else value
            change = Update(1, None, False, (key, value))
        elif kind == "move" and key in rows and other not in rows:
            kept = rows.pop(key)
            rows[other] = kept if value is UNCHANGED else value
            change = Update(1, (key, None), False, (other, value))
        elif kind == "delete" and key in rows:
            del rows[key]
            change = Delete(1, (key, None))
        elif kind == "truncate":
            rows.clear()
            change = Truncate((1,))
        if change is not None:
            net.add(change)
    found = {} if net.truncated else dict(start)
    for gone in net.gone():
        assert gone[0] is not None
        assert gone[0] is not UNCHANGED
        found.pop(gone[0], None)
    for row in net.kept():
        key_value, value = row.values
        assert isinstance(key_value, bytes)
        if value is UNCHANGED:
            assert row.origin is not None
            assert isinstance(row.origin[0], bytes)
            value = start[row.origin[0]]
        found[key_value] = value
    assert found == rows
