"""What the server says it reads, builds or rewrites while a statement keeps writers waiting."""

from __future__ import annotations

from migration.plan.ground import Ground


def read_under_a_lock(here: Ground) -> list[str]:
    """The steps up; what the server says it read or built under a lock that keeps writers waiting."""
    said: list[str] = []
    here.connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    here.connection.execute("SET client_min_messages = debug1")
    found = []
    for step in here.steps:
        for statement in step.up:
            said.clear()
            with_rows = {name for (name,) in here.rows(_WITH_ROWS)}
            here.run([statement], together=step.transaction)
            if (
                not statement.startswith(("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY"))
                and "VALIDATE" not in statement
            ):
                found += [
                    line for line in said if _reads(line) and any(f'"{name}"' in line for name in with_rows)
                ]
    here.connection.execute("SET client_min_messages = notice")
    return found


_WITH_ROWS = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0
"""


def _reads(line: str) -> bool:
    return line.startswith(("verifying", "rewriting", "building index", "validating"))
