"""A document against the JSON Schema of its kind: every violation a finding that says what was expected."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from itertools import islice
from typing import Any, TypeAlias

import jsonschema

from data_platform.report.finding import Finding
from data_platform.spec import agrees
from data_platform.spec.document import MAX_FINDINGS, Document, Path_, SpecProblem

KINDS = ("model", "storage", "change", "retrieval", "pipeline", "quality")
_MAX_SHOWN = 60

_Error: TypeAlias = Any
"""A jsonschema.ValidationError; what its fields hold depends on the keyword, so types do not help."""


@lru_cache
def schema_text(kind: str) -> str:
    """The JSON Schema (draft 2020-12) of a kind."""
    return _package_text(f"schemas/{kind}.schema.json")


def example_text(kind: str) -> str:
    """A commented example that validates."""
    return _package_text(f"examples/{kind}.yaml")


def _package_text(name: str) -> str:
    return resources.files("data_platform.spec").joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return _Validator(json.loads(schema_text(kind)))


@lru_cache
def _agrees(kind: str) -> agrees.Test:
    return agrees.compiled(json.loads(schema_text(kind)))


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# Stricter than the standard where values go on into SQL: 1e3 is no whole number, .nan no number.
_Validator: type[jsonschema.Draft202012Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def kind_of(document: Document) -> str:
    """The spec's `kind:`; SpecProblem if there is none or we do not know it."""
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"is {_shape(document.data)}"
        raise SpecProblem(
            (
                document.error(
                    (),
                    "spec-not-a-mapping",
                    f"the spec {what}; expected a mapping with `kind:` and `store:`",
                    "dpe spec example model",
                ),
            )
        )
    kind = document.data.get("kind")
    if kind in KINDS:
        return str(kind)
    message = f"`kind` is {_shown(kind)}" if "kind" in document.data else "`kind:` is missing"
    raise SpecProblem(
        (document.error(("kind",), "spec-kind", f"{message}; expected {_choice(KINDS)}", "kind: model"),)
    )


def check(document: Document, expected: str | None = None) -> str:
    """The document's kind, once it agrees with that kind's schema; SpecProblem with every violation otherwise.

    A document of another kind than `expected` is a violation, too.
    """
    kind = kind_of(document)
    if expected not in (None, kind):
        message = f"this is a spec of kind {kind}; expected one of kind {expected}"
        raise SpecProblem((document.error(("kind",), "spec-kind", message, f"dpe spec example {expected}"),))
    if _agrees(kind)(document.data):
        return kind
    errors = (error for raw in _validator(kind).iter_errors(document.data) for error in _each(raw))
    findings = [_finding(document, error, kind) for error in islice(errors, MAX_FINDINGS)]
    if findings:
        raise SpecProblem(tuple(sorted(findings, key=lambda f: (f.line or 0, f.column or 0, f.message))))
    return kind


def _each(error: _Error) -> Iterator[tuple[_Error, str | None]]:
    """One error for each unknown or missing key, where jsonschema reports them together."""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        for key in error.instance:
            if key not in known:
                yield error, key
    elif error.validator == "required":
        # jsonschema yields one error for each missing key; the key is only in the message.
        yield error, next(key for key in error.validator_value if error.message.startswith(repr(key)))
    else:
        yield error, None


def _finding(document: Document, located: tuple[_Error, str | None], kind: str) -> Finding:
    found = _located(document, *located)
    return found if found.fix else replace(found, fix=f"dpe spec example {kind}")


def _located(document: Document, error: _Error, key: str | None) -> Finding:
    path: Path_ = tuple(str(part) for part in error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        return _bad_key(document, (*path, str(error.instance)), error)
    name = _place(error)
    value = error.instance
    expectation = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            return _unknown_key(document, path, name, str(key), known)
        case "required":
            hint = _description(error.schema, str(key))
            return document.error(
                path, "spec-missing-key", f"`{_clean(name)}` needs `{key}:`{hint}", f"add `{key}:`"
            )
        case "type":
            kinds = [expectation] if isinstance(expectation, str) else expectation
            expected = " or ".join(_TYPES[kind] for kind in kinds)
            message = f"`{_clean(name)}` is {_shape(value)}; expected {expected}"
            return document.error(path, "spec-wrong-type", message, _type_fix(value, kinds))
        case "enum":
            near = difflib.get_close_matches(str(value), [str(v) for v in expectation], 1, 0.5)
            message = f"`{_clean(name)}` is {_shown(value)}; expected {_choice(expectation)}"
            return document.error(path, "spec-not-a-choice", message, near[0] if near else None)
        case "const":
            message = f"`{_clean(name)}` is {_shown(value)}; expected {json.dumps(expectation)}"
            return document.error(path, "spec-not-a-choice", message, f"{name}: {json.dumps(expectation)}")
        case "minLength" | "minItems" | "minProperties":
            return document.error(
                path, "spec-empty", f"`{_clean(name)}` is empty", "give it a value, or remove it"
            )
        case "uniqueItems":
            return document.error(
                path, "spec-duplicate", f"`{_clean(name)}` names something twice", "keep one"
            )
        case "maxLength" | "maxItems" | "maxProperties":
            counted = f"`{_clean(name)}` has {len(value):,} {_UNITS[error.validator]}"
            most = f"at most {expectation:,}"
            return document.error(path, "spec-too-large", f"{counted}; {most} are allowed", most)
        case "pattern":
            hint = error.schema.get("description", f"text that matches {expectation}")
            return document.error(
                path, "spec-format", f"`{_clean(name)}` is {_shown(value)}; expected: {hint}"
            )
        case _:
            message = f"`{_clean(name)}` is {_shown(value)}; {error.validator} is {_shown(expectation)}"
            return document.error(path, "spec-out-of-range", message, error.schema.get("description"))


_UNITS = {"maxLength": "characters", "maxItems": "items", "maxProperties": "entries"}
_TYPES = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def _bad_key(document: Document, path: Path_, error: _Error) -> Finding:
    hint = error.schema.get("description", f"text that matches {error.validator_value}")
    return document.error(path, "spec-name", f"the key is {_shown(path[-1])}; expected: {hint}", "rename it")


def _place(error: _Error) -> str:
    """What the reader calls the place: its key, or `checks[0]` for one of a list."""
    path = list(error.absolute_path)
    if not path:
        return "the spec"
    if isinstance(path[-1], int) and len(path) > 1:
        return f"{path[-2]}[{path[-1]}]"
    return str(path[-1])


def _unknown_key(document: Document, parent: Path_, name: str, key: str, known: list[str]) -> Finding:
    near = difflib.get_close_matches(key, known, 1, 0.5)
    where = f" in `{_clean(name)}`" if parent else ""
    fix = f"`{near[0]}:`" if near else f"one of {', '.join(known)}"
    return document.error(
        (*parent, key),
        "spec-unknown-key",
        f"unknown key `{_clean(key)}`{where}; expected {_choice(known)}",
        fix,
    )


def _type_fix(value: Any, kinds: list[str]) -> str | None:
    if isinstance(value, bool | int | float) and "string" in kinds:
        return f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and "array" in kinds:
        return f"[{_clean(value)}]"
    if isinstance(value, str) and "boolean" in kinds:
        return "true or false, without quotes (yes, no, on and off are text in YAML 1.2)"
    return None


def _description(schema: dict[str, Any], key: str) -> str:
    text = schema.get("properties", {}).get(key, {}).get("description")
    return f" ({text.rstrip('.')})" if text else ""


def _shape(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _shown(value)


def _shown(value: Any) -> str:
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        text += piece
        if len(text) > _MAX_SHOWN:
            return _clean(text[: _MAX_SHOWN - 1] + "…")
    return _clean(text)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:120]


def _choice(values: Any) -> str:
    texts = [str(value) for value in values]
    if len(texts) > 12:
        texts = [*texts[:12], "…"]
    return texts[0] if len(texts) == 1 else "one of " + ", ".join(texts)
