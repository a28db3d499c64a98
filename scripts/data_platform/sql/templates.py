"""Jinja templates that can print only `Sql`: a raw value in a template is an error, not an injection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data_platform.resources import resource
from data_platform.sql import phrases, routines, text
from data_platform.sql.text import Sql

FILTERS: Mapping[str, Callable[..., Sql]] = {
    "arguments": routines.arguments,
    "body": text.body,
    "bound": phrases.bound,
    "collation": phrases.collation,
    "condition": phrases.condition,
    "default_clause": phrases.default,
    "deferral": text.deferral,
    "dotted": text.dotted,
    "expression": phrases.anything_or_deep,
    "foreign_options": phrases.foreign_options,
    "identity_arguments": routines.identity_arguments,
    "keyword": text.keyword,
    "lines": lambda parts: text.joined(",\n    ", parts),
    "listed": lambda parts: text.joined(", ", parts),
    "literal": text.literal,
    "literals": text.literals,
    "name": text.identifier,
    "names": text.identifiers,
    "number": phrases.number,
    "operator": text.operator,
    "options": text.options,
    "part": lambda sql: sql,  # what the renderer made with a template of its own; `_only_sql` sees to it
    "pad": lambda sql, width: Sql(sql.ljust(width)),
    "period": phrases.columns_with_period,
    "qualified": text.qualified_name,
    "qualified_list": lambda names: text.joined(", ", map(text.qualified_name, names)),
    "query": phrases.query,
    "returned": routines.returned,
    "role": phrases.role,
    "roles": lambda names: text.joined(", ", map(phrases.role, names)),
    "rule": phrases.rule,
    "script": phrases.script,
    "setting": routines.setting,
    "sql_body": routines.sql_body,
    "storage_options": phrases.storage_options,
    "text_options": phrases.text_options,
    "type": text.type_name,
}
"""What turns a value into SQL in a template; every `{{ … }}` ends in one of these."""


def render(template: str, **values: Any) -> Sql:
    """The SQL that `templates/{template}` makes of `values`.

    Raises jinja2.UndefinedError for a name that is missing and TypeError for a value that is not Sql.
    """
    return Sql(_environment().get_template(template).render(**values).strip())


@lru_cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        finalize=_only_sql,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    return environment


def _only_sql(value: object) -> Sql:
    if not isinstance(value, Sql):
        raise TypeError(
            f"a template printed {type(value).__name__} {value!r:.60}, which no filter has made SQL"
        )
    return value
