"""Data for comparing engines: tables shaped as TPC-H's, and messy rows; files and specs for both. All is seeded."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import yaml

HERE = Path(__file__).parent
TPCH: Mapping[str, str] = yaml.safe_load((HERE / "tpch.yaml").read_text(encoding="utf-8"))
MESSY: Mapping[str, str] = yaml.safe_load((HERE / "messy.yaml").read_text(encoding="utf-8"))
Columns = dict[str, str]
MONEY = "numeric(12,2)"
TABLES: Mapping[str, Columns] = {
    "regions": {"region_id": "int", "name": "text"},
    "nations": {"nation_id": "int", "region_id": "int", "name": "text"},
    "suppliers": {
        "supplier_id": "int", "nation_id": "int", "name": "text", "balance": MONEY, "note": "text",
    },
    "parts": {
        "part_id": "int", "name": "text", "maker": "text", "brand": "text", "kind": "text", "size": "int",
        "container": "text",
    },
    "offers": {"part_id": "int", "supplier_id": "int", "available": "int", "cost": MONEY},
    "buyers": {
        "buyer_id": "int", "nation_id": "int", "name": "text", "phone": "text", "balance": MONEY, "segment": "text",
    },
    "orders": {
        "order_id": "bigint", "buyer_id": "int", "status": "text", "ordered": "date", "priority": "text",
        "note": "text",
    },
    "items": {
        "order_id": "bigint", "part_id": "int", "supplier_id": "int", "quantity": MONEY, "price": MONEY,
        "discount": "numeric(4,2)", "tax": "numeric(4,2)", "returned": "text", "status": "text", "shipped": "date",
        "due": "date", "received": "date", "mode": "text",
    },
}  # fmt: skip
ROWS: Columns = {
    "id": "bigint", "name": "text", "note": "text", "amount": MONEY, "big": "numeric(38,10)",
    "half": "double precision",
    "count": "integer", "at": "timestamptz", "local": "timestamp", "day": "date", "ok": "boolean", "version": "bigint",
    "deleted": "boolean",
}  # fmt: skip
_REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE")
_NATIONS = ("KENYA", "BRAZIL", "INDIA", "FRANCE", "EGYPT", "CANADA", "JAPAN", "GERMANY")
_COLOURS = ("green", "forest", "red", "blue", "ivory")
_KINDS = ("PROMO BRASS", "LARGE BRASS", "SMALL STEEL", "PROMO TIN", "ECONOMY BRASS")
_TEXTS = (
    None, "", " ", "a", "A", "née", "ne\u0301e", "É", "Straße", "ǅ", "ﬁn", "🌱🌿", "👩\u200d🚀", "e\u0301e\u0301",
    "\u00a0x\u00a0", "x ",
    "ИЖ", "ΣΑΣ", "NULL", "null", "tab\tx", "o'x", "100%", "a_b", "zebra", "\\N", "\u200b", "日本語",
)  # fmt: skip
_NOTES = (
    None,
    "",
    'say "so"',
    "two\nlines",
    "line\r\nx",
    "a,b,c",
    ",",
    '"',
    '""',
    " lead",
    "trail ",
    "\\",
    ";|",
    "a,b",
)
_AMOUNTS = (
    None,
    "0.05",
    "0.15",
    "-0.15",
    "2.50",
    "-2.50",
    "0.50",
    "-0.50",
    "1.25",
    "9999999999.99",
    "-0.00",
    "3",
)
_BIG = (
    None,
    "0",
    "1",
    "9999999999999999999999999999.9999999999",
    "-1234567890123456789012345678.0000000001",
    "0.0000000001",
)
_HALVES = (None, "0.5", "1.5", "2.5", "-0.5", "-0.0", "0", "1e300", "-1e-300", "0.1", "123456789.125", "4.5")
_TIMES = (
    None, "2026-03-29 00:59:59.999999+00", "2026-03-29 01:00:00+00", "2026-10-25 00:30:00+00", "2026-10-25 01:30:00+00",
    "2026-03-08 07:00:00+00", "1969-12-31 23:59:59.5+00", "1900-01-01 00:00:00+00", "9998-12-30 10:00:00+00",
)  # fmt: skip
_DAYS = (
    None,
    "0001-01-01",
    "1582-10-04",
    "1582-10-15",
    "1900-02-28",
    "2000-02-29",
    "2024-02-29",
    "2024-12-30",
    "9999-12-30",
)


def write_tpch(folder: Path, scale: float) -> None:
    """A file for each table; scale 1 has 1,500,000 orders."""
    draw = random.Random(22)
    for name, rows in _tables(draw, scale):
        _write(folder / f"{name}.csv", TABLES[name], rows)


def _tables(draw: random.Random, scale: float) -> Iterator[tuple[str, Iterable[list[object]]]]:
    suppliers, parts, buyers, orders = (
        max(int(scale * n), 20) for n in (10_000, 200_000, 150_000, 1_500_000)
    )
    money = lambda low, high: f"{draw.randint(low, high) / 100:.2f}"  # noqa: E731
    yield "regions", [[n, name] for n, name in enumerate(_REGIONS)]
    yield "nations", [[n, n % len(_REGIONS), name] for n, name in enumerate(_NATIONS)]
    yield "suppliers", ([n, n % 8, f"Supplier#{n:09}", money(-99_999, 999_999),
                         "Customer complaints" if n % 9 == 0 else "quick"] for n in range(suppliers))  # fmt: skip
    yield "parts", ([n, f"{draw.choice(_COLOURS)} {draw.choice(_COLOURS)}", f"Maker#{n % 5}",
                     f"Brand#{draw.choice((12, 23, 34, 45))}", draw.choice(_KINDS), draw.randint(1, 50),
                     draw.choice(("SM CASE", "SM BOX", "MED BAG", "MED BOX", "LG JAR"))]
                    for n in range(parts))  # fmt: skip
    yield "offers", ([n, (n + k * 7) % suppliers, draw.randint(1, 9999), money(100, 100_000)]
                     for n in range(parts) for k in range(2))  # fmt: skip
    yield "buyers", ([n, draw.randrange(8), f"Buyer#{n:09}", f"{10 + n % 25}-{draw.randint(100, 999)}",
                      money(-99_999, 999_999), draw.choice(("BUILDING", "MACHINERY"))]
                     for n in range(buyers))  # fmt: skip
    first, days = date(1992, 1, 1), []
    made = []
    for n in range(orders):
        days.append(first + timedelta(draw.randrange(2400)))
        made.append([n, draw.randrange(buyers * 2 // 3), draw.choice("FOP"), days[-1],
                     draw.choice(("1-URGENT", "2-HIGH", "3-MEDIUM", "5-LOW")),
                     draw.choice(("special packages requests", "", None, "sleeps"))])  # fmt: skip
    yield "orders", made
    yield (
        "items",
        (
            _item(draw, n, day, suppliers, parts)
            for n, day in enumerate(days)
            for _ in range(draw.randint(1, 7))
        ),
    )


def _item(draw: random.Random, order: int, day: date, suppliers: int, parts: int) -> list[object]:
    part, shipped = draw.randrange(parts), day + timedelta(draw.randint(1, 121))
    return [
        order, part, (part + draw.randrange(2) * 7) % suppliers, draw.randint(1, 50),
        f"{draw.randint(90_000, 9_999_999) / 100:.2f}", f"0.{draw.randint(0, 10):02}", f"0.{draw.randint(0, 8):02}",
        draw.choice("RAN"), draw.choice("OF"), shipped, day + timedelta(draw.randint(30, 90)),
        shipped + timedelta(draw.randint(1, 30)), draw.choice(("MAIL", "SHIP", "AIR", "RAIL")),
    ]  # fmt: skip


def write_messy(path: Path, rows: int, seed: int, *, keys: int | None = None) -> None:
    """Messy rows. `keys`: ids are drawn from so many, so that one comes twice, late and deleted; else each once."""
    draw = random.Random(seed)
    made = [
        [
            draw.randrange(keys) if keys else n, draw.choice(_TEXTS), draw.choice(_NOTES), draw.choice(_AMOUNTS),
            draw.choice(_BIG), draw.choice(_HALVES), draw.choice((None, 0, -7, 7, 2, -1, 2000)), draw.choice(_TIMES),
            (draw.choice(_TIMES[1:]) or "").removesuffix("+00"), draw.choice(_DAYS), draw.choice((None, "t", "f")),
            seed * rows + n - draw.choice((0, 0, rows * 2)), "t" if keys and draw.random() < 0.15 else "f",
        ]
        for n in range(rows)
    ]  # fmt: skip
    _write(path, ROWS, made)


def _write(path: Path, columns: Columns, rows: Iterable[list[object]]) -> None:
    """As PostgreSQL's COPY: nothing is NULL, "" an empty text."""

    def told(value: object) -> str:
        if value is None:
            return ""
        text = str(value)
        quoted = text == "" or any(one in text for one in ',"\n\r') or text != text.strip()
        return '"' + text.replace('"', '""') + '"' if quoted else text

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(columns)
        file.writelines(",".join(map(told, row)) + "\n" for row in rows)


def spec_for(sql: str, tables: Mapping[str, Columns]) -> str:
    """An ETL of one statement over those of the tables that it names."""
    used = {name: columns for name, columns in tables.items() if name in sql.replace("\n", " ").split()}
    sources = [{"name": name, "path": f"in/{name}.csv", "columns": columns} for name, columns in used.items()]
    spec = {
        "pattern": "etl", "sources": sources, "transforms": [{"name": "made", "sql": sql}],
        "targets": [{"table": "shop.t", "from": "made"}],
    }  # fmt: skip
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)


def merging(kind: str) -> str:
    """A spec over files that come one after another."""
    source = {"name": "rows", "path": "in/batch*.csv", "columns": ROWS, "deletes": {"column": "deleted"}}
    target: dict[str, object] = {"table": "shop.t", "key": ["id"], "version": "version"}
    if kind == "scd":
        source["columns"], target["version"], target["type"] = {**ROWS, "version": "bigint"}, "at", 2
    return yaml.safe_dump({"pattern": kind, "sources": [source], "targets": [target]}, sort_keys=False)
