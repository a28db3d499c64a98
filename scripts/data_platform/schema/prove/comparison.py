"""The catalog against the model, without what was left out on this server: that is told apart, and is no difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.model.database import Database
from data_platform.model.differences import Differences, differences
from data_platform.schema.prove.result import LeftOut


def compared(said: Database, found: Database, left_out: Sequence[LeftOut]) -> Differences:
    """What differs between the design as the server spells it and the catalog, for other reasons than `left_out`."""
    all_ = differences(said, found)
    if not left_out:
        return all_
    excuse = _Excuse(tuple(part.object for part in left_out))
    return dataclasses.replace(
        all_,
        added=tuple(name for name in all_.added if not excuse.covers(name)),
        removed=tuple(name for name in all_.removed if not excuse.covers(name)),
        changed=tuple(
            change
            for change in all_.changed
            if not (change.property == "owner" and excuse.owns(change.before))
        ),
    )


def named_roles(database: Database) -> frozenset[str]:
    """The roles that a design declares or names."""
    named = {role.name for role in database.roles}
    named |= {grant.role for grant in database.grants}
    named |= {
        role for default in database.default_privileges for role in (default.role, default.owner) if role
    }
    named |= {role for table in database.tables for policy in table.policies for role in policy.roles}
    owned = (
        database.tables,
        database.views,
        database.materialized_views,
        database.functions,
        database.schema_details,
    )
    named |= {part.owner for parts in owned for part in parts if part.owner}
    return frozenset(named - {"public"})


@dataclass(frozen=True)
class _Excuse:
    """What statements that were left out would have made, by what each of them says that it makes."""

    made: tuple[str, ...]

    def covers(self, name: str) -> bool:
        """Whether an object is one of theirs."""
        return any(name == made or name.startswith(f"{made}(") for made in self.made) or self._is_right(name)

    def owns(self, role: str) -> bool:
        """Whether a role is one that was not made, or gets nothing here."""
        return f"role {role}" in self.made

    def _is_right(self, name: str) -> bool:
        if name.startswith("default privilege "):
            return any(made.startswith("default privileges ") for made in self.made)
        grantee = name.rpartition(" to ")[2].removesuffix(" with grant option")
        if name.startswith("grant "):
            return self.owns(grantee) or any(self._on(made, name) for made in self.made)
        return False

    def _on(self, made: str, name: str) -> bool:
        verb, _, object_ = made.partition(" on ")
        return verb in ("grant", "revoke") and f" on {object_} " in name
