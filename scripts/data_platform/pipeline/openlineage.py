"""Runs as events of OpenLineage: what was read and written, with columns, their lineage, and rows.

No secret is in an event: a server is its host and port, an address has no user and no query.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from data_platform import __version__
from data_platform.errors import Problem, UsageProblem
from data_platform.pipeline.lineage import lineages
from data_platform.pipeline.lineage_select import Column, TargetLineage
from data_platform.pipeline.plan import chains
from data_platform.pipeline.run import Ran
from data_platform.pipeline.streams import Place
from data_platform.postgres.connect import address_of, resolve_dsn
from data_platform.spec.pipeline import TARGET, Pipeline, Source

PRODUCER = f"urn:data-platform-engineer:{__version__}"
_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/"
_SCHEMA = f"{_SPEC}/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"
_COLUMNS = f"{_SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
_READ = f"{_SPEC}/facets/1-0-3/DataQualityMetricsInputDatasetFacet.json#/$defs/DataQualityMetricsInputDatasetFacet"
_WRITTEN = (
    f"{_SPEC}/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet"
)
_ERROR = f"{_SPEC}/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"
_JOB = f"{_SPEC}/facets/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet"
_ROWS = "urn:data-platform-engineer:facets:rows"
_HOW = {"identity": "IDENTITY", "transformation": "TRANSFORMATION", "aggregation": "AGGREGATION"}

Facet = dict[str, Any]
State = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass(frozen=True)
class Dataset:
    """What OpenLineage calls one: a namespace for the server, a name within it."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Told:
    """A pipeline at a place, as it is told of. `place` is None where nothing is run."""

    spec: Pipeline
    place: Place | None = None
    found: tuple[TargetLineage, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", lineages(self.spec))

    def run_event(
        self, state: State, run_id: str, *, ran: Ran | None = None, problem: Problem | None = None
    ) -> Facet:
        """One event of a run, of now."""
        facets: Facet = {}
        if problem is not None:
            facets["errorMessage"] = _facet(_ERROR, message=problem.what, programmingLanguage="Python")
        if ran is not None:
            counts = ran.counts
            facets["dpe_rows"] = _facet(
                _ROWS,
                read=counts.read,
                written=counts.written,
                unchanged=counts.unchanged,
                quarantined=counts.quarantined,
                deleted=counts.deleted,
            )
        return {
            "eventType": state,
            **self._event("RunEvent"),
            "run": {"runId": run_id, "facets": facets},
            **self._datasets(ran),
        }

    def job_event(self) -> Facet:
        """The pipeline alone, without any run of it."""
        return {**self._event("JobEvent"), **self._datasets(None)}

    def _event(self, kind: str) -> Facet:
        job = _facet(_JOB, processingType="BATCH", integration="DPE", jobType="PIPELINE")
        return {
            "eventTime": datetime.now(UTC).isoformat(),
            "producer": PRODUCER,
            "schemaURL": _EVENT + kind,
            "job": {"namespace": self.spec.store, "name": self.spec.name, "facets": {"jobType": job}},
        }

    def _datasets(self, ran: Ran | None) -> Facet:
        datasets = {source.name: self.dataset(source) for source in self.spec.sources}
        inputs = [self._input(source, datasets[source.name], ran) for source in self.spec.sources]
        outputs = [self._output(one, datasets, ran) for one in self.found]
        return {"inputs": inputs, "outputs": outputs}

    def _input(self, source: Source, dataset: Dataset, ran: Ran | None) -> Facet:
        facets = {"schema": _columns(dict(source.columns))} if source.columns else {}
        told: Facet = {"namespace": dataset.namespace, "name": dataset.name, "facets": facets}
        rows = None if ran is None else _rows_read(self.spec, source, ran)
        if rows is not None:
            told["inputFacets"] = {"dataQualityMetrics": _facet(_READ, rowCount=rows, columnMetrics={})}
        return told

    def _output(self, one: TargetLineage, datasets: Mapping[str, Dataset], ran: Ran | None) -> Facet:
        source = self.spec.source(one.source)
        types = dict(source.columns) if source else {}
        names = {column.name: types.get(column.name) for column in one.columns}
        fields = {column.name: self._field(column, datasets) for column in one.columns if column.origins}
        told: Facet = {
            **self._table(one.table),
            "facets": {"schema": _columns(names), "columnLineage": _facet(_COLUMNS, fields=fields)},
        }
        if ran is not None:
            written = sum(step.counts.written for step in ran.steps if step.target == one.table)
            told["outputFacets"] = {"outputStatistics": _facet(_WRITTEN, rowCount=written)}
        return told

    def _field(self, column: Column, datasets: Mapping[str, Dataset]) -> Facet:
        by = column.expressions[-1].partition(": ")[2] if column.expressions else ""
        return {
            "inputFields": [
                {
                    **(
                        self._table(origin.relation)
                        if origin.in_store
                        else {
                            "namespace": datasets[origin.relation].namespace,
                            "name": datasets[origin.relation].name,
                        }
                    ),
                    "field": origin.column,
                    "transformations": [
                        {
                            "type": "DIRECT",
                            "subtype": _HOW[origin.how],
                            "description": "" if origin.how == "identity" else by,
                            "masking": False,
                        }
                    ],
                }
                for origin in column.origins
            ]
        }

    def _table(self, name: str) -> Facet:
        server, database = _server(self.place.conninfo) if self.place else (self.spec.store, "")
        return {"namespace": server, "name": f"{database}.{name}" if database else name}

    def dataset(self, source: Source) -> Dataset:
        """What a source is called, wherever it is read from."""
        if source.path is not None:
            base = str(self.place.base) + "/" if self.place and not source.path.startswith("/") else ""
            return Dataset("file", base + source.path)
        if source.url is not None:
            parts = urllib.parse.urlsplit(source.url)
            return Dataset(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path or "/")
        name = str(source.table) if source.table is not None else source.name
        if source.dsn == TARGET:
            found = self._table(name)
            return Dataset(found["namespace"], found["name"])
        try:
            server, database = _server(_address(source, self.place))
        except UsageProblem:  # told without the environment that the run has
            return Dataset(str(source.dsn) if str(source.dsn).startswith("env:") else "database", name)
        return Dataset(server, f"{database}.{name}" if database else name)


def _address(source: Source, place: Place | None) -> str:
    assert source.dsn is not None
    value = os.environ.get(source.dsn.removeprefix("env:"), "")
    if value.startswith(("mysql://", "mariadb://")):
        return value
    return place.address(source) if place is not None else resolve_dsn(source.dsn)


def _server(address: str) -> tuple[str, str]:
    """Namespace and database of an address; nothing else of it."""
    if address.startswith(("mysql://", "mariadb://")):
        parts = urllib.parse.urlsplit(address)
        return f"mysql://{parts.hostname}:{parts.port or 3306}", parts.path.strip("/")
    host, port, database = address_of(address)
    return f"postgres://{host}:{port}", database


def _rows_read(spec: Pipeline, source: Source, ran: Ran) -> int | None:
    """Rows of a source that a run looked at. None where its rows came to the targets together with others'."""
    counted = []
    for chain in chains(spec):
        if [one.name for one in chain.sources] == [source.name] and not chain.transforms:
            steps = [one for one in ran.steps if one.target == str(chain.target.table)]
            counted.append(sum(one.counts.read for one in steps))
    return max(counted) if counted else None


def _columns(types: Mapping[str, Any]) -> Facet:
    fields = [{"name": name, **({"type": str(type_)} if type_ else {})} for name, type_ in types.items()]
    return _facet(_SCHEMA, fields=fields)


def _facet(schema: str, **values: Any) -> Facet:
    return {"_producer": PRODUCER, "_schemaURL": schema, **values}
