"""Event sourcing and read models as SQL text: events, who reads them how far, and what is made of them.

store        append-only events with expected versions, snapshots, upcasting, erasure of a subject
outbox       what a table's rows become, in order, written by the transactions that change them
feed         either of the two read without losing a late commit: `peek` and `confirm`
projection   a read model: a statement for each type of event, its position in the same transaction, built anew beside

Readers go by transactions and not by positions: a position is drawn before the commit, so a smaller one may appear
later. `peek` reads only transactions older than every running one. A writer left open for an hour keeps all
readers waiting for an hour, and loses nothing.
"""

from data_platform.pipeline.events.feed import WINDOWS, Feed, confirm, feed_tables, peek, register
from data_platform.pipeline.events.outbox import (
    Outbox,
    drawn,
    generation,
    guarded_upsert,
    last_drawn,
    noted,
    outbox_feed,
    outbox_tables,
    purge,
)
from data_platform.pipeline.events.projection import (
    Projection,
    advance,
    dropped,
    projection_function,
    projection_schema,
    projection_tables,
    replay,
    start_rebuild,
    swap,
)
from data_platform.pipeline.events.store import (
    CONFLICT,
    REFUSED,
    TOMBSTONE,
    EventStore,
    Upcaster,
    store_tables,
)

__all__ = [
    "CONFLICT",
    "REFUSED",
    "TOMBSTONE",
    "WINDOWS",
    "EventStore",
    "Feed",
    "Outbox",
    "Projection",
    "Upcaster",
    "advance",
    "confirm",
    "drawn",
    "dropped",
    "feed_tables",
    "generation",
    "guarded_upsert",
    "last_drawn",
    "noted",
    "outbox_feed",
    "outbox_tables",
    "peek",
    "projection_function",
    "projection_schema",
    "projection_tables",
    "purge",
    "register",
    "replay",
    "start_rebuild",
    "store_tables",
    "swap",
]
