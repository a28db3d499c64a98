"""All tools whose files we write: one module each, one entry here."""

from __future__ import annotations

from data_platform.migration.formats import (
    alembic,
    dbmate,
    django,
    flyway,
    golang_migrate,
    goose,
    liquibase,
    node_pg_migrate,
    plain,
    prisma,
    rails,
    sqitch,
)
from data_platform.migration.formats.context import Format

_MODULES = (
    *(plain, alembic, django, flyway, liquibase, dbmate),
    *(golang_migrate, goose, sqitch, prisma, rails, node_pg_migrate),
)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}
