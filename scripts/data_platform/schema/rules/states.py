"""Rules about what is there and does not hold: constraints not validated or not enforced, triggers switched off."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import Domain
from data_platform.schema.rules.remedies import alter, validate
from data_platform.schema.rules.rule import Hit, on_column, on_key, on_object, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.naming import default_name
from data_platform.sql.text import identifier, qualified_name


@rule(
    "foreign-key-not-validated",
    "warning",
    "NOT VALID looks at new rows only: old ones may refer to nothing, and the planner believes none.",
)
def foreign_key_not_validated(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            if not key.validated and key.enforced:
                message = f"`{key.name}` was never checked for the rows that were there before it"
                yield on_key(table, key, message, "validated: true", validate(table, key.name))


@rule(
    "check-not-validated",
    "warning",
    "NOT VALID looks at new rows only: old ones may break it, and the next UPDATE of such a row fails.",
)
def check_not_validated(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for check in table.checks:
            if not check.validated and check.enforced:
                message = f"`{check.name}` was never checked for the rows that were there before it"
                remedy = validate(table, check.name)
                yield on_table(table, message, "validated: true", "checks", check.name, remedy=remedy)
        for column in table.columns:
            if column.not_null is not None and not column.not_null.validated:
                name = column.not_null.name or default_name(table.name.name, column.name, "not_null")
                message = (
                    f"NOT NULL of `{column.name}` was never checked for the rows that were there before it"
                )
                yield on_column(table, column.name, message, "validated: true", validate(table, name))
    yield from _of_domains(subject)


def _of_domains(subject: Subject) -> Iterator[Hit]:
    for domain in (type_ for type_ in subject.design.database.types if isinstance(type_, Domain)):
        for check in domain.checks:
            if not check.validated:
                message = f"`{check.name}` was never checked for the values that were there before it"
                altered = f"ALTER DOMAIN {qualified_name(domain.name)}"
                remedy = f"{altered} VALIDATE CONSTRAINT {identifier(check.name)};"
                yield on_object("types", domain.name, message, "validated: true", remedy)


@rule(
    "constraint-not-enforced",
    "info",
    "NOT ENFORCED checks nothing, neither old rows nor new ones: it is a remark.",
)
def constraint_not_enforced(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            if not key.enforced:
                enforced = f"ALTER CONSTRAINT {identifier(key.name)} ENFORCED"
                yield on_key(
                    table, key, f"`{key.name}` is not enforced", "enforced: true", alter(table, enforced)
                )
        for check in table.checks:
            if not check.enforced:
                message = f"`{check.name}` is not enforced"
                remedy = f"away with `{check.name}`, and the same again: NOT VALID, then VALIDATE"
                yield on_table(table, message, "enforced: true", "checks", check.name, remedy=remedy)


@rule(
    "trigger-disabled",
    "warning",
    "A trigger that somebody switched off for a load and forgot guards and keeps nothing.",
)
def trigger_disabled(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for trigger in table.triggers:
            if trigger.enabled == "disabled":
                message = f"the trigger `{trigger.name}` is switched off"
                remedy = alter(table, f"ENABLE TRIGGER {identifier(trigger.name)}")
                yield on_table(table, message, "enabled: origin", "triggers", trigger.name, remedy=remedy)
