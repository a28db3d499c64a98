"""A design against the rules of good practice. Reads the model only: no server, nothing is run."""

from __future__ import annotations

from data_platform.model.design import Design
from data_platform.report.finding import Finding, in_order
from data_platform.schema.rules import (
    columns,
    foreign_keys,
    ids,
    indexes,
    inheritance,
    keys,
    partitions,
    patterns,
    policies,
    programs,
    replication,
    rights,
    rings,
    row_security,
    sequences,
    shape,
    states,
    tenants,
    vectors,
    versions,
    whole,
)
from data_platform.schema.rules.rule import Rule
from data_platform.schema.rules.subject import Subject

_ROOMS = (
    keys,
    foreign_keys,
    ids,
    rings,
    columns,
    shape,
    indexes,
    sequences,
    states,
    partitions,
    inheritance,
    row_security,
    policies,
    tenants,
    rights,
    programs,
    replication,
    patterns,
    vectors,
    versions,
    whole,
)
RULES: tuple[Rule, ...] = tuple(
    found for room in _ROOMS for found in vars(room).values() if isinstance(found, Rule)
)
"""Every rule, by subject."""


def lint(design: Design) -> tuple[Finding, ...]:
    """Everything that the rules have against `design`, in the order of its file."""
    subject = Subject(design)
    return in_order(finding for rule in RULES for finding in rule.check(subject))
