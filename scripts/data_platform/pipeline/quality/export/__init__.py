"""Checks in the form of other tools: dbt, Great Expectations, Soda, pandera. What one cannot say is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from data_platform.pipeline.quality.export import dbt, great_expectations, pandera, soda
from data_platform.pipeline.quality.export.exported import Exported
from data_platform.spec.quality import Quality

TOOLS: Mapping[str, Callable[[Quality], Exported]] = {
    "dbt": dbt.export,
    "great-expectations": great_expectations.export,
    "soda": soda.export,
    "pandera": pandera.export,
}
