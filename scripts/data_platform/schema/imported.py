"""An import told to a person: what the database holds, what stayed raw SQL, what was left out, whether it came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_platform.model.database import Database
from data_platform.model.differences import Differences, objects
from data_platform.postgres.load import Loaded, Note
from data_platform.postgres.sources import ROLE_ATTRIBUTES, Taken
from data_platform.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Table,
    words,
)

MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import: what was taken, what a second load of the written model differs in (None: not tried), and times."""

    store: str
    taken: Taken
    model: str
    """Path of the written model."""
    again: Differences | None
    seconds: float


def counts(database: Database) -> Mapping[str, int]:
    """Objects by kind, those that stayed raw SQL apart."""
    kinds = Counter(_kind(name) for name in objects(_without_raw(database)))
    return dict(sorted(kinds.items()))


def raw_counts(database: Database) -> Mapping[str, int]:
    """Raw statements by the kind of what they make."""
    return dict(sorted(Counter(part.kind for part in database.raw).items()))


def _without_raw(database: Database) -> Database:
    return replace(database, raw=())


_KINDS = (
    "materialized view",
    "event trigger",
    "default privilege",
    "schema details",
)


def _kind(name: str) -> str:
    return next((kind for kind in _KINDS if name.startswith(f"{kind} ")), name.split(" ", 1)[0])


def result(made: Import) -> dict[str, Any]:
    """For the JSON envelope."""
    database, loaded = made.taken.database, made.taken.loaded
    return {
        "tables": len(database.tables),
        "objects": sum(counts(database).values()) + len(database.raw),
        "by_kind": counts(database),
        "raw": len(database.raw),
        "raw_by_kind": raw_counts(database),
        "equal": None if made.again is None else made.again.equal,
        "differences": difference_result(made.again) if made.again else None,
        "server_version": made.taken.server_version,
        "statements": loaded.statements if loaded else None,
        "rows_left_out": loaded.rows_skipped if loaded else 0,
        "left_out": [
            {"file": n.file, "line": n.line, "statement": n.what, "reason": n.why, "kept": n.kept is not None}
            for n in (_notes(loaded) if loaded else ())
        ],
        "stub_extensions": list(loaded.stubs) if loaded else [],
        "left_out_of_the_database": dict(made.taken.left_out),
        "seconds": round(made.seconds, 2),
    }


def difference_result(found: Differences) -> dict[str, Any]:
    """`{equal, added, removed, changed}`."""
    return {
        "equal": found.equal,
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": [
            {"object": c.object, "property": c.property, "before": c.before, "after": c.after}
            for c in found.changed
        ],
    }


def report(made: Import, repeat: str) -> Report:
    """For a person; `repeat` is the command that does it again."""
    database = made.taken.database
    total = sum(counts(database).values()) + len(database.raw)
    kept = f"{len(database.raw)} of them as raw SQL" if database.raw else "none of them as raw SQL"
    pieces = [_objects_table(database), *_left_out(made), *_differences(made.again)]
    pieces += [Heading("How this was checked"), Paragraph(words(_how(made))), Block(repeat, "bash")]
    good = made.again is None or made.again.equal
    return Report(
        title=(Code(made.store), f": {len(database.tables)} tables imported, {total} objects, {kept}"),
        verdict="equal" if made.again and good else "imported" if good else "differs",
        summary=_summary(made),
        good=good,
        pieces=tuple(pieces),
    )


def _summary(made: Import) -> str:
    if made.again is None:
        return f"written to {made.model} in {made.seconds:.1f} s; not loaded again."
    if made.again.equal:
        return f"the model was rendered and loaded again: the catalog is the same. {made.seconds:.1f} s."
    count = len(made.again.added) + len(made.again.removed) + len(made.again.changed)
    return f"the model was rendered and loaded again: the catalog differs in {count} places. {made.seconds:.1f} s."


def _objects_table(database: Database) -> Table:
    rows: list[tuple[Inline, ...]] = [
        (kind, f"{number:,}", "model") for kind, number in counts(database).items()
    ]
    rows += [(kind, f"{number:,}", "raw SQL") for kind, number in raw_counts(database).items()]
    return Table(("kind", "objects", "form"), tuple(rows), frozenset({1}))


_WHY = {
    "user mappings": "they hold passwords",
    "subscriptions": "they hold passwords",
    "secret options": "options of servers and foreign tables that look like passwords, tokens or secrets",
    "invalid indexes": "a failed CREATE INDEX CONCURRENTLY left them; DROP INDEX, or build them again",
}


_KEPT = "; the model keeps the statement, which nothing here has run"


def _left_out(made: Import) -> Iterator[Piece]:
    loaded = made.taken.loaded
    if loaded is None:
        return
    items: list[Inline] = []
    if loaded.rows_skipped:
        items.append(f"{loaded.rows_skipped:,} statements of rows: a model holds no data")
    items += [
        ("extension ", Code(name), ": not on this server, a stub stood in for it") for name in loaded.stubs
    ]
    notes = _notes(loaded)
    items += [
        (Code(f"{n.file}:{n.line}"), " ", Code(n.what), f": {n.why}{_KEPT if n.kept else ''}")
        for n in notes[:MOST_SHOWN]
    ]
    if len(notes) > MOST_SHOWN:
        items.append(f"{len(notes) - MOST_SHOWN} more, in the JSON")
    if items:
        yield Heading("Left out, or made otherwise")
        yield Bullets(tuple(items))


def _notes(loaded: Loaded) -> tuple[Note, ...]:
    """The notes without what only the scratch cluster left out: a role's attributes are in the model."""
    kept = {f"without {word}" for word in ROLE_ATTRIBUTES}
    told = (
        replace(n, why=", ".join(part for part in n.why.split(", ") if part not in kept))
        for n in loaded.skipped
    )
    return tuple(note for note in told if note.why)


def _differences(found: Differences | None) -> Iterator[Piece]:
    if found is None or found.equal:
        return
    yield Heading("What does not come back")
    yield differences_table(found)


def differences_table(found: Differences) -> Table:
    """One row a difference, as many as a person reads."""
    rows: list[tuple[Inline, ...]] = [("removed", Code(name), "", "", "") for name in found.removed]
    rows += [("added", Code(name), "", "", "") for name in found.added]
    rows += [
        ("changed", Code(c.object), c.property.replace("_", " "), _short(c.before), _short(c.after))
        for c in found.changed
    ]
    shown = rows[:200]
    if len(rows) > len(shown):
        shown.append((f"… {len(rows) - len(shown)} more, in the JSON", "", "", "", ""))
    return Table(("", "object", "property", "before", "after"), tuple(shown))


def _short(text: str) -> Code:
    return Code(text if len(text) <= 80 else f"{text[:79]}…")


def _how(made: Import) -> str:
    where = f"PostgreSQL {made.taken.server_version}"
    loaded = made.taken.loaded
    came = (
        f"{loaded.statements:,} statements loaded into a scratch database"
        if loaded
        else "read from the live server"
    )
    again = (
        "; the model rendered, loaded into another one, and both catalogs compared object by object"
        if made.again
        else ""
    )
    return f"{came} ({where}){again}. Rows and passwords are in no model."
