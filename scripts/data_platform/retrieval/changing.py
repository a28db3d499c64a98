"""A store from one model to another: made beside, filled, compared, switched, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.vectors.apply import apply
from data_platform.postgres.vectors.create import finish, present
from data_platform.postgres.vectors.rights import copy_privileges, refuse_hidden
from data_platform.postgres.vectors.sessions import Vector, writing
from data_platform.postgres.vectors.store import Target, register
from data_platform.postgres.vectors.switch import (
    Registered,
    activate,
    fill,
    forget,
    registered,
    switch,
)
from data_platform.retrieval.design import design
from data_platform.retrieval.embedding import Memory, embedder, fingerprint
from data_platform.retrieval.filling import embedded, target_of
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import File, embeddings, functions, indexes, security
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Changed:
    """What was done: chunks embedded again, and which model is active now."""

    embedded: int
    active: str
    before: str
    models: tuple[Registered, ...]


def prepare(conninfo: str, spec: Retrieval, folder: Path, memory: Path, tell: Tell) -> Changed:
    """The new model's table, vectors and index beside the old ones; nothing that is searched changes."""
    model = embedder(spec.model, folder)
    target = target_of(spec, fingerprint(model))
    made, names = design(spec), names_of(spec)
    with writing(conninfo) as connection:
        active = _active(registered(connection, spec.name))
        refuse_hidden(connection, spec.name)
        if not present(connection, names.embeddings):
            with connection.transaction():
                table = File("embeddings.sql", embeddings(spec, made, names))
                apply(connection, [table, *security(spec, names.embeddings)])
                copy_privileges(connection, Name(spec.name, active.table), names.embeddings)
        register(connection, target)
        kept = Memory(memory)
        try:
            done = fill(connection, target, _embed(kept, spec, folder, target, tell), tell)
        finally:
            kept.close()
        if not present(connection, names.search, function=True):
            tell("building the index", 0.9)
            finish(conninfo, spec.name, lambda there: _last(spec, there))
        return Changed(done, active.name, "", tuple(registered(connection, spec.name)))


def _last(spec: Retrieval, there: Collection[str]) -> tuple[File, ...]:
    """Index and functions of the new model; those of chunks are there."""
    made, names = design(spec), names_of(spec)
    return (
        File("indexes.sql", indexes(spec, made, names, there, words=False), transaction=False),
        File("search.sql", functions(spec, made, names)),
    )


def _active(models: Sequence[Registered]) -> Registered:
    active = next((one for one in models if one.state == "active"), None)
    if active is None:
        raise UsageProblem("no model of the store is active", try_="dpe retrieval load")
    return active


def _embed(
    memory: Memory, spec: Retrieval, folder: Path, target: Target, tell: Tell
) -> Callable[[Sequence[tuple[bytes, str]]], Mapping[bytes, Vector]]:
    model = embedder(spec.model, folder)
    return lambda texts: embedded(memory, model, target, spec, texts, tell)


def change(conninfo: str, spec: Retrieval, folder: Path, memory: Path, tell: Tell) -> Changed:
    """Make the spec's model the active one. UsageProblem where it is not prepared."""
    names = names_of(spec)
    with writing(conninfo) as connection:
        if not present(connection, names.search, function=True):
            raise UsageProblem(
                f"`{spec.model.name}` is not prepared", try_="dpe retrieval migrate-model without --switch"
            )
        refuse_hidden(connection, spec.name)
        target = target_of(spec, fingerprint(embedder(spec.model, folder)))
        kept = Memory(memory)
        try:
            before = switch(connection, target, _embed(kept, spec, folder, target, tell), tell)
        finally:
            kept.close()
        return Changed(0, spec.model.name, before, tuple(registered(connection, spec.name)))


def back(conninfo: str, spec: Retrieval) -> Changed:
    """Make the model before active again: the one that was retired last."""
    with writing(conninfo) as connection:
        models = registered(connection, spec.name)
        retired = next((one for one in reversed(models) if one.state == "retired"), None)
        if retired is None:
            raise UsageProblem("there is no model to go back to", where=spec.name)
        before = activate(connection, spec.name, retired.table)
        return Changed(0, retired.name, before, tuple(registered(connection, spec.name)))


def drop(conninfo: str, spec: Retrieval, model: str) -> Changed:
    """Forget a model that is not active. Its vectors are gone."""
    with writing(conninfo) as connection:
        models = registered(connection, spec.name)
        one = next((m for m in models if m.name == model), None)
        if one is None:
            raise UsageProblem(f"there is no model `{model}`", expected=", ".join(m.name for m in models))
        names = names_of(spec, model)
        forget(
            connection,
            spec.name,
            one,
            [one.name for one in (names.search, names.hybrid, names.estimate, names.mean)],
        )
        return Changed(0, _active(models).name, "", tuple(registered(connection, spec.name)))
