"""The answers from which `scope init` writes a section: from options, or from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_platform.scope.names import ROLE

TICKET_SYSTEMS = ("linear", "github", "none")
_FILE_LIMIT = 64_000


class CannotWrite(ValueError):
    """The scope cannot be written as asked; the text says why, `try_` what helps."""

    def __init__(self, why: str, try_: str) -> None:
        super().__init__(why)
        self.try_ = try_


class StoreAnswer(NamedTuple):
    """A data store. Without `owner` it is ours; with one it is that team's, under `role` if that is given."""

    name: str
    engine: str = "-"
    connection: str = "-"
    owner: str | None = None
    role: str | None = None


class DomainAnswer(NamedTuple):
    """A domain and the role that owns it."""

    name: str
    role: str
    owner: str = ""


class RoleAnswer(NamedTuple):
    """Another role that is active on the project."""

    role: str
    person: str = ""
    scope: str = ""


class Answers(NamedTuple):
    """Everything a section is made of. `owner` is who fills our role."""

    project: str
    team: str
    owner: str
    stores: tuple[StoreAnswer, ...]
    ticket_system: str = "none"
    main_branch: str = "main"
    domains: tuple[DomainAnswer, ...] = ()
    roles: tuple[RoleAnswer, ...] = ()


def checked(answers: Answers) -> Answers:
    """The answers, if a section can be made of them. Raises `CannotWrite`."""
    for name in ("team", "owner"):
        if not getattr(answers, name):
            raise CannotWrite(f"the {name} is not given", f"--{name}, or `{name}:` in the answers")
    if not any(store.owner is None for store in answers.stores):
        raise CannotWrite(
            "no store of ours is given: ask which data stores this role owns",
            '--own "Customer DB" postgresql',
        )
    if answers.ticket_system not in TICKET_SYSTEMS:
        raise CannotWrite(
            f"the ticket system is {answers.ticket_system!r}", f"one of {', '.join(TICKET_SYSTEMS)}"
        )
    for store in answers.stores:
        if store.connection != "-" and not store.connection.startswith(("env:", "service:")):
            raise CannotWrite(
                f"the connection of {store.name!r} does not name a variable; no URL belongs in claude.md",
                "env:CUSTOMER_DB_URL",
            )
    return answers


def from_yaml(path: Path) -> Answers:
    """Read a file of answers; its keys are the fields of `Answers`.

    Raises `CannotWrite` when it does not hold them, `ImportError` without PyYAML, `OSError` when unreadable.
    """
    import yaml  # noqa: PLC0415  the gate needs the standard library only

    text = path.read_bytes()
    if len(text) > _FILE_LIMIT:
        raise CannotWrite(f"{path} has more than {_FILE_LIMIT:,} bytes", "a file of answers is short")
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise CannotWrite(
            f"{path} is not YAML: {' '.join(str(error).split())[:300]}", "quote `@name` values"
        ) from error
    answers: Answers = _record(Answers, loaded, str(path))
    return answers._replace(
        stores=_records(StoreAnswer, answers.stores, "stores"),
        domains=_records(DomainAnswer, answers.domains, "domains"),
        roles=_records(RoleAnswer, answers.roles, "roles"),
    )


def _records(kind: Any, loaded: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(loaded, Sequence) or isinstance(loaded, str):
        raise CannotWrite(f"`{where}` is not a list", f"a list of {', '.join(kind._fields)}")
    return tuple(_record(kind, one, f"{where}[{at}]") for at, one in enumerate(loaded))


def _record(kind: Any, loaded: Any, where: str) -> Any:
    if not isinstance(loaded, Mapping):
        raise CannotWrite(f"{where} is not a mapping", f"keys {', '.join(kind._fields)}")
    for key, value in loaded.items():
        if key not in kind._fields:
            raise CannotWrite(f"{where} has the unknown key {key!r}", _nearest(str(key), kind._fields))
        if key not in ("stores", "domains", "roles") and not isinstance(value, str):
            raise CannotWrite(f"{where}: {key} is not text", f'{key}: "..."')
    defaults = {"project": "", "team": "", "owner": "", "stores": (), **kind._field_defaults}
    lacking = [field for field in kind._fields if field not in loaded and field not in defaults]
    if lacking:
        raise CannotWrite(f"{where} lacks {lacking[0]}", f"{lacking[0]}: ...")
    return kind(**{field: loaded.get(field, defaults.get(field)) for field in kind._fields})


def _nearest(key: str, known: tuple[str, ...]) -> str:
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(key, known, n=1)
    return near[0] if near else f"one of {', '.join(known)}"


def role_of(store: StoreAnswer) -> str:
    """The owner role that a store's row states."""
    if store.role is not None:
        return store.role
    return ROLE if store.owner is None else f"{ROLE} ({store.owner})"
