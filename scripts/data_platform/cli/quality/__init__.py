"""`dpe quality`: one module a verb."""

from __future__ import annotations

from data_platform.cli.quality.check import CHECK
from data_platform.cli.quality.export import EXPORT
from data_platform.cli.quality.profile import PROFILE

COMMANDS = (CHECK, PROFILE, EXPORT)
