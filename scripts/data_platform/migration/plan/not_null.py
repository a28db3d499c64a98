"""A column that may hold no NULL any more, checked while clients go on."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import alter_column, alter_table, slug, spoken
from data_platform.model.database import Column, Name
from data_platform.sql.naming import default_name
from data_platform.sql.text import Sql, identifier

NOT_NULL_CONSTRAINTS_SINCE = 18


def required(table: Name, column: Column, version: int, phase: Phase = "contract") -> Iterator[Step]:
    """NOT NULL in two steps: new rows first, then those that are there."""
    since_18 = version >= NOT_NULL_CONSTRAINTS_SINCE
    name = not_null_name(table, column) if since_18 else default_name(table.name, column.name, "check")
    condition = (
        f"NOT NULL {identifier(column.name)}"
        if since_18
        else f"CHECK ({identifier(column.name)} IS NOT NULL)"
    )
    inherit = " NO INHERIT" if column.not_null and column.not_null.no_inherit else ""
    drop = Sql(f"DROP CONSTRAINT IF EXISTS {identifier(name)}")
    yield Step(
        name=slug("require", table, column.name),
        phase=phase,
        reason=f"From here on no client writes NULL to {spoken(table, column.name)}; rows that are there are not "
        "looked at, so nobody waits.",
        up=(alter_table(table, Sql(f"ADD CONSTRAINT {identifier(name)} {condition}{inherit} NOT VALID")),),
        down=(alter_table(table, drop),),
        again="the constraint is there already (42710); nothing is changed",
        ends_old=phase == "contract",
    )
    if column.not_null is None or column.not_null.validated:
        yield _validated(table, column.name, name, phase, since_18)


def _validated(table: Name, column: str, constraint: str, phase: Phase, since_18: bool) -> Step:
    validate = alter_table(table, Sql(f"VALIDATE CONSTRAINT {identifier(constraint)}"))
    step = Step(
        name=slug("validate", table, column),
        phase=phase,
        reason="Reads every row under a lock that lets clients read and write.",
        up=(validate,),
        down=(),
    )
    if since_18:
        return step
    proven = alter_table(
        table,
        alter_column(column, "SET NOT NULL"),
        Sql(f"DROP CONSTRAINT IF EXISTS {identifier(constraint)}"),
    )
    check = Sql(f"ADD CONSTRAINT {identifier(constraint)} CHECK ({identifier(column)} IS NOT NULL) NOT VALID")
    back = alter_table(table, alter_column(column, "DROP NOT NULL"), check)
    return Step(
        name=step.name,
        phase=phase,
        reason=step.reason + " The valid CHECK then proves NOT NULL without another look.",
        up=(validate, proven),
        down=(back,),
        transaction=False,
        again="after both statements have run the constraint is gone (42704); nothing is changed",
    )


def not_null_name(table: Name, column: Column) -> str:
    """What the column's NOT NULL is called, on servers where it has a name."""
    given = column.not_null.name if column.not_null else None
    return given or default_name(table.name, column.name, "not_null")


def optional(table: Name, column: Column, version: int) -> Step:
    """DROP NOT NULL."""
    return Step(
        name=slug("allow_null", table, column.name),
        phase="expand",
        reason="The new application may write NULL here; only the catalog changes.",
        up=(alter_table(table, alter_column(column.name, "DROP NOT NULL")),),
        down=tuple(statement for step in required(table, column, version) for statement in step.up),
    )
