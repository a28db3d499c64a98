"""All tools whose files we write: one module each, one entry here."""

from __future__ import annotations

from data_platform.migration.formats import alembic, dbmate, django, plain
from data_platform.migration.formats.context import Format

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT for module in (plain, alembic, dbmate, django)
}
