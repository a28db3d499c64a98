"""Made-up rows on which engines that differ are told apart: halves, negatives, empty texts, leap days, NULL.

Values are texts as all engines read them, by PostgreSQL's type. Constants of the SQL are among them, so that a
condition is true for some rows. `tame` leaves out what PostgreSQL itself may refuse: zeros to divide by, overflow.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp, parse_one

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines.types import digits, plain

Value = str | list[str | None] | None
Row = dict[str, Value]

ROWS = 64
_INTEGERS = ("1", "2", "3", "4", "5", "7", "8", "10", "-7", "-3", "-1", "0", "32000")
_DECIMALS = ("1", "2.5", "-2.5", "0.05", "1.15", "-1.15", "10.45", "99.99", "-0.01", "3.335", "7", "0")
_DOUBLES = ("0.5", "1.5", "2.5", "-2.5", "-0.5", "1e-3", "100.25", "3", "0.1", "1234567.875", "0")
_TEXTS = (
    "", " ", "a", "A", "new", "paid", "Straße", "É", "é1", " a b ", "a,b", 'say "so"', "it's", "two\nlines", "x\n",
    "10", "9", "2024-02-29", "NULL", "100%", "a_b", "\\", "$1", "🌱 tree", "ab12cd3", "b", "z", "Zebra", "\tt", "aaaa",
)  # fmt: skip
_DAYS = (
    "2024-02-29",
    "2023-12-31",
    "2024-12-30",
    "2021-01-03",
    "1970-01-01",
    "1969-12-31",
    "2000-01-31",
    "2024-07-14",
)
_TIMES = (
    "2024-02-29 23:59:59.999999", "2023-12-31 00:00:00", "2024-03-31 01:30:00", "1969-12-31 23:00:00.5",
    "2000-01-31 12:00:00", "2024-12-30 06:07:08.009", "2024-07-14 09:00:00",
)  # fmt: skip
_BOOLEANS = ("true", "false", "true", "false")
_JSON = ('{"a": "x"}', '{"a": 1}', "{}", '{"a": null}', '{"a": {"b": 1}}', '{"b": [1, 2]}')


def rows_of(
    columns: Mapping[str, str], ordered: frozenset[str], constants: Sequence[str], seed: str, *, tame: bool
) -> list[Row]:
    """Rows of a source. Columns that something is `ordered` by hold no value twice: ties would fall as they like."""
    draw = random.Random(seed)  # noqa: S311 - made-up data
    pools = {name: _pool(type_, constants, tame=tame) for name, type_ in columns.items()}
    rows: list[Row] = []
    for number in range(ROWS):
        row: Row = {}
        for name, type_ in columns.items():
            if name in ordered:
                row[name] = _own(type_, pools[name], number)
            elif draw.random() < 0.12:
                row[name] = None
            else:
                row[name] = draw.choice(pools[name])
        rows.append(row)
    draw.shuffle(rows)
    return rows


def _pool(type_: str, constants: Sequence[str], *, tame: bool) -> Sequence[Value]:
    name = plain(type_)
    if name.endswith("[]"):
        inner = [one for one in _pool(name[:-2], (), tame=tame) if not isinstance(one, list)]
        return [[], [inner[0]], inner[:3], [inner[1], None, inner[0], inner[0]]]
    found = _values(name, type_)
    if tame:
        found = [one for one in found if one not in ("0", "32000") and not one.startswith("-")]
        found = ["1", "2", "12"] if name == "text" else found
    return [*found, *(one for one in constants if _fits(one, name))]


def _values(name: str, type_: str) -> list[str]:
    if name in ("smallint", "integer", "bigint"):
        return list(_INTEGERS)
    if name == "numeric":
        size = digits(type_)
        whole, scale = (size[0] - size[1], size[1]) if size else (9, 3)
        return [one for one in _DECIMALS if len(one.lstrip("-").split(".")[0]) <= max(whole, 1)
                and len(one.partition(".")[2]) <= scale]  # fmt: skip
    if name == "uuid":
        return [f"00000000-0000-4000-8000-{number:012}" for number in range(6)]
    if name == "timestamptz":
        return [f"{one}+00" for one in _TIMES]
    known = {"text": _TEXTS, "real": _DOUBLES, "double precision": _DOUBLES, "date": _DAYS, "timestamp": _TIMES,
             "boolean": _BOOLEANS, "jsonb": _JSON}  # fmt: skip
    if name not in known:
        raise UsageProblem(f"no rows can be made of the type {type_}")
    return list(known[name])


def _own(type_: str, pool: Sequence[Value], number: int) -> Value:
    """A value that no other row has; one row has none."""
    name = plain(type_)
    if number == 0:
        return None
    if name in ("date", "timestamp", "timestamptz"):
        day = f"{2020 + number // 28:04}-03-{number % 28 + 1:02}"
        return {"date": day, "timestamp": f"{day} 10:00:00", "timestamptz": f"{day} 10:00:00+00"}[name]
    if name == "uuid":
        return f"00000000-0000-4000-8000-{number:012}"
    if name == "text":
        return f"{pool[number % len(pool)]}{number}"
    return str(number * 3 % (ROWS + 3)) if name not in ("boolean", "jsonb") else pool[number % len(pool)]


def _fits(constant: str, name: str) -> bool:
    if name == "text":
        return True
    if name in ("smallint", "integer", "bigint", "numeric"):
        return constant.lstrip("-").isdigit() and len(constant) < 5
    return False


def constants_of(statements: Iterable[str]) -> list[str]:
    """Texts and numbers that the SQL compares with; of patterns what stands between the signs."""
    found = [
        node.name for text in statements for node in parse_one(text, read="postgres").find_all(exp.Literal)
    ]
    return sorted({one.strip("%^$") for one in found if len(one) < 40})


def ordered_by(statements: Iterable[str]) -> frozenset[str]:
    """Names of columns that something is ordered by, apart from those that it is parted by."""
    ordered: set[str] = set()
    parted: set[str] = set()
    for text in statements:
        tree = parse_one(text, read="postgres")
        ordered |= {
            column.name
            for order in tree.find_all(exp.Order)
            for key in order.expressions
            for column in key.find_all(exp.Column)
        }
        for window in tree.find_all(exp.Window):
            parted |= {
                one.name for by in window.args.get("partition_by") or () for one in by.find_all(exp.Column)
            }
        for distinct in tree.find_all(exp.Distinct):
            on = distinct.args.get("on")
            parted |= {one.name for one in on.find_all(exp.Column)} if on is not None else set()
    return frozenset(ordered - parted)
