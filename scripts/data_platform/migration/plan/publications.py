"""Publications: what they publish, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import relation
from data_platform.ddl.whole import publication_pieces, published
from data_platform.migration.plan.access import owner_statements
from data_platform.migration.plan.making import statements
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.model.database import Database, Publication
from data_platform.sql.references import References
from data_platform.sql.text import Sql, identifier, joined, literal

_OPTIONS = {
    "publish": "insert, update, delete, truncate",
    "publish_via_partition_root": "false",
    "publish_generated_columns": "none",
}


def steps(pair: Pair) -> Iterator[Step]:
    """New, changed, gone."""
    found = changes(pair.before.publications, pair.after.publications)
    for publication in found.added:
        yield Step(
            name=slug("create_publication", publication.name),
            phase="expand",
            reason="Nobody has subscribed to it yet.",
            up=statements(publication_pieces(publication, pair.after)),
            down=(_drop(publication),),
            again="it is there already (42710); nothing is changed",
            needs=_needs(publication),
        )
    for old, new in found.changed:
        if _form(old) != _form(new):
            yield _changed(pair, old, new)
    for publication in found.removed:
        yield Step(
            name=slug("drop_publication", publication.name),
            phase="contract",
            reason="Subscribers get nothing more from it.",
            up=(_drop(publication),),
            down=_made(publication, pair.before),
            ends_old=True,
            frees=_needs(publication),
        )


def _form(publication: Publication) -> Publication:
    return replace(publication, comment=None, owner=None)


def _drop(publication: Publication) -> Sql:
    return Sql(f"DROP PUBLICATION IF EXISTS {identifier(publication.name)}")


def _made(publication: Publication, database: Database) -> tuple[Sql, ...]:
    name = identifier(publication.name)
    made = statements(publication_pieces(publication, database))
    return (*made, *owner_statements("publication", name, publication.owner))


def _needs(publication: Publication) -> References:
    return tuple(relation(part.table) for part in publication.tables)


def _changed(pair: Pair, old: Publication, new: Publication) -> Step:
    altered = _can_be_altered(old) and _can_be_altered(new)
    return Step(
        name=slug("publication", new.name),
        phase="expand",
        reason="Subscribers take it up with ALTER SUBSCRIPTION … REFRESH PUBLICATION."
        if altered
        else "Dropped and made again in one transaction, as ALTER PUBLICATION cannot say this.",
        up=tuple(_altered(old, new, pair.after)) if altered else (_drop(old), *_made(new, pair.after)),
        down=tuple(_altered(new, old, pair.before)) if altered else (_drop(new), *_made(old, pair.before)),
        needs=_needs(new),
    )


def _can_be_altered(publication: Publication) -> bool:
    """SET TABLE needs one thing to publish at least."""
    return not publication.all_tables and bool(publication.tables or publication.schemas)


def _altered(old: Publication, new: Publication, database: Database) -> Iterator[Sql]:
    name = identifier(new.name)
    if (old.tables, old.schemas) != (new.tables, new.schemas):
        heirs = {parent for table in database.tables for parent in table.inherits}
        yield Sql(f"ALTER PUBLICATION {name} SET {joined(', ', published(new, heirs))}")
    if old.options != new.options:
        keys = dict.fromkeys(key for key, _ in (*old.options, *new.options))
        said = (f"{identifier(key)} = {literal(dict(new.options).get(key, _OPTIONS[key]))}" for key in keys)
        yield Sql(f"ALTER PUBLICATION {name} SET ({', '.join(said)})")
