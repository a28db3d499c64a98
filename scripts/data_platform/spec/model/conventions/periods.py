"""`valid_period` and `address_history`: what held when, without two answers for one day."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed, singular
from data_platform.sql.text import Sql, identifier, type_name


def valid_period(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """A range column, and no overlap among rows that agree in the columns `of`."""
    column, type_ = value.get("column", "during"), value.get("type", "daterange")
    draft.add_column(key, column, {"type": type_}, path)
    shown = identifier(column)
    name = f"{draft.name(key).name}_{column}_has_a_start"
    draft.add_named(key, "checks", name, f"NOT isempty({shown}) AND NOT lower_inf({shown})", path)
    draft.require_extension("btree_gist")
    of = listed(value["of"])
    if value.get("key"):
        draft.table(key)["primary_key"] = {"columns": [*of, column], "without_overlaps": True}
        return
    elements = [{"column": part, "with": "="} for part in of] + [{"column": column, "with": "&&"}]
    draft.add_listed(key, "exclude", {"elements": elements}, path)


def address_history(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """The addresses of each row of a table, one at a time; a move ends one and begins the next."""
    own = draft.one_key(key, path)
    if own is None:
        return
    type_ = draft.type_of(key, own)
    if type_ is None:
        draft.error(path, f"the type of `{own}` is not said", f"{own}: {{type: uuid}}")
        return
    thing = singular(draft.name(key).name)
    table, owner = draft.beside(key, f"{thing}_addresses"), f"{thing}_id"
    optional = {"type": "text", "nullable": True}
    columns = {
        "id": {"type": "bigint", "identity": "always", "primary_key": True},
        owner: {"references": {"table": key, "on_delete": "cascade"}},
        "line_1": "text",
        "line_2": optional,
        "postal_code": optional,
        "city": "text",
        "region": optional,
        "country": {"type": "text", "check": "country ~ '^[A-Z]{2}$'", "comment": "ISO 3166-1 alpha-2."},
    }
    spec = {"comment": f"Where each of {draft.name(key).name} lived when.", "columns": columns}
    if draft.add_table(table, spec, path):
        valid_period(draft, table, {"of": [owner]}, path)
    values = {"table": draft.sql(table), "owner": identifier(owner)}
    draft.add_function(
        draft.beside(key, f"move_{thing}"),
        "move.sql.j2",
        path,
        values=values,
        arguments=f"which {Sql(type_name(type_))}, on_day date, new_line_1 text, new_city text, new_country text, "
        "new_postal_code text DEFAULT NULL, new_line_2 text DEFAULT NULL, new_region text DEFAULT NULL",
        returns="void",
    )
