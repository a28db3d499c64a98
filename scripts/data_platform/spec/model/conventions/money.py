"""`money` at a column: an exact amount, its currency beside it, and no more decimals than that currency has."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed
from data_platform.sql.text import identifier, literal, literals

# ISO 4217, where there are not two decimals.
DECIMALS = {
    0: (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ),
    3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
    4: ("CLF", "UYW"),
}


def expand(draft: Draft, key: str) -> None:
    """The columns of one table that say `money`."""
    specs = draft.seen(key).get("columns", {})
    for name, value in specs.items():
        if isinstance(value, dict) and "money" in value:
            _column(draft, key, name, value["money"], ("tables", key, "columns", name))


def _column(draft: Draft, key: str, name: str, value: Any, path: Path_) -> None:
    currency = f"{name}_currency"
    codes = [] if value == "any" else listed(value)
    columns: dict[str, Any] = {}
    for other, spec in draft.table(key)["columns"].items():
        if other != name:
            columns[other] = spec
            continue
        rest = {part: said for part, said in spec.items() if part != "money"}
        columns[name] = {"type": "numeric", **rest}
        columns[currency] = {"type": "text", **({"nullable": True} if spec.get("nullable") else {})}
        if len(codes) == 1:
            columns[currency]["default"] = str(literal(codes[0]))
    draft.table(key)["columns"] = columns
    draft.origins["tables", key, "columns", currency] = path
    table = draft.name(key).name
    known = (
        f"{identifier(currency)} IN ({literals(codes)})"
        if codes
        else f"{identifier(currency)} ~ '^[A-Z]{{3}}$'"
    )
    draft.add_named(key, "checks", f"{table}_{currency}_known", known, path)
    draft.add_named(
        key, "checks", f"{table}_{name}_in_whole_units", _whole_units(name, currency, codes), path
    )
    if draft.seen(key)["columns"][name].get("nullable"):
        both = f"num_nonnulls({identifier(name)}, {identifier(currency)}) <> 1"
        draft.add_named(key, "checks", f"{table}_{name}_with_currency", both, path)


def _whole_units(name: str, currency: str, codes: list[str]) -> str:
    """`numeric` without a scale, so that nothing is rounded before it is looked at."""
    cases = [
        f"WHEN {identifier(currency)} IN ({literals(found)}) THEN {decimals}"
        for decimals, listed in DECIMALS.items()
        if (found := [code for code in listed if not codes or code in codes])
    ]
    most = f"CASE {' '.join(cases)} ELSE 2 END" if cases else "2"
    return f"scale(trim_scale({identifier(name)})) <= {most} AND abs({identifier(name)}) < 1e15"
