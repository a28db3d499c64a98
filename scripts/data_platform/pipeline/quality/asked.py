"""What a run of checks knows beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from data_platform.postgres.quality.asking import Session


@dataclass(frozen=True)
class Asked:
    """What is known beside the checks: masked columns; by check what was kept before, and its other side's server."""

    sensitive: frozenset[str] = frozenset()
    before: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    others: Mapping[str, Session] = field(default_factory=lambda: MappingProxyType({}))
    samples: int = 5
