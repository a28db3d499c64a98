"""Differences: nothing for equals, and each change once."""

from __future__ import annotations

from dataclasses import replace

from data_platform.model.differences import Change, differences
from schema.designs import SHOP, design

SHOP_DATABASE = design(SHOP).database


def test_a_database_does_not_differ_from_itself() -> None:
    assert differences(SHOP_DATABASE, SHOP_DATABASE).equal


def test_a_table_less_is_removed_with_all_its_parts() -> None:
    fewer = replace(
        SHOP_DATABASE, tables=tuple(t for t in SHOP_DATABASE.tables if t.name.name != "order_items")
    )
    found = differences(SHOP_DATABASE, fewer)
    assert "table public.order_items" in found.removed
    assert "column public.order_items.line" in found.removed
    assert not found.added
    assert differences(fewer, SHOP_DATABASE).added == found.removed


def test_a_changed_property_is_named_with_both_values() -> None:
    orders = next(table for table in SHOP_DATABASE.tables if table.name.name == "orders")
    columns = tuple(replace(c, nullable=True) if c.name == "total" else c for c in orders.columns)
    changed = replace(
        SHOP_DATABASE,
        tables=tuple(replace(t, columns=columns) if t is orders else t for t in SHOP_DATABASE.tables),
    )
    assert differences(SHOP_DATABASE, changed).changed == (
        Change(object="column public.orders.total", property="nullable", before="False", after="True"),
    )


def test_the_order_of_columns_is_a_property_of_the_table() -> None:
    orders = next(table for table in SHOP_DATABASE.tables if table.name.name == "orders")
    turned = replace(orders, columns=tuple(reversed(orders.columns)))
    changed = replace(SHOP_DATABASE, tables=tuple(turned if t is orders else t for t in SHOP_DATABASE.tables))
    assert [c.property for c in differences(SHOP_DATABASE, changed).changed] == ["column order"]
