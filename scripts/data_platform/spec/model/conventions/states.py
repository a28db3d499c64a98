"""`state_machine`: the steps from one state to the next that a row may take; any other is refused."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed
from data_platform.spec.model.conventions.hierarchy import SAFE
from data_platform.sql.text import identifier, literal, literals


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """The column with its states, and the trigger that knows the steps."""
    column = value.get("column", "status")
    steps = {state: listed(following) for state, following in value["transitions"].items()}
    states = list(dict.fromkeys([*steps, *(state for following in steps.values() for state in following)]))
    initial = listed(value.get("initial", next(iter(steps))))
    for state in initial:
        if state not in states:
            draft.error((*path, "initial"), f"`{state}` is in none of the transitions", states[0])
    default = str(literal(initial[0])) if len(initial) == 1 else None
    spec = {"type": "text", **({"default": default} if default else {})}
    name = draft.name(key).name
    if draft.add_column(key, column, spec, path):
        draft.add_named(
            key, "checks", f"{name}_{column}_known", f"{identifier(column)} IN ({literals(states)})", path
        )
    function = draft.beside(key, f"{name}_{column}_step")
    values = {
        "column": identifier(column),
        "initial": literals(initial),
        "steps": [(literal(state), literals(following)) for state, following in steps.items() if following],
    }
    draft.add_function(function, "state_step.sql.j2", path, values=values, settings=SAFE)
    draft.add_trigger(key, f"{name}_{column}_step", function, path, update_of=[column])
