"""A JSON Schema as Python functions: a yes is what jsonschema says too, a no means that jsonschema is to be asked.

jsonschema explains every violation but takes seconds for a model of a thousand tables, nearly all of them right.
Keywords are those that our schemas use; any other is refused when the schema is compiled, so that none is overlooked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Test: TypeAlias = Callable[[Any], bool]


def compiled(schema: Mapping[str, Any]) -> Test:
    """Whether a document surely agrees with `schema`, as a function of the document."""
    return _Compiler(schema).test(schema)


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.referred: dict[str, Test] = {}

    def test(self, schema: Mapping[str, Any]) -> Test:
        """All keywords of one schema, the cheapest and most telling first."""
        makers = dict.fromkeys(make for key, make in _KEYWORDS.items() if key in schema)
        tests = [make(self, schema) for make in makers]
        if unknown := schema.keys() - _KEYWORDS.keys() - _SILENT:
            raise ValueError(f"no test for the keywords {', '.join(sorted(unknown))}")
        if len(tests) == 1:
            return tests[0]
        return lambda value: all([test(value) for test in tests])

    def reference(self, pointer: str) -> Test:
        """The schema at `#/…`, compiled once; it may refer to itself."""
        if pointer not in self.referred:
            # What refers to itself finds the test once it is made.
            self.referred[pointer] = lambda value: self.referred[pointer](value)  # noqa: PLW0108
            found: Any = self.root
            for part in pointer.removeprefix("#/").split("/"):
                found = found[part]
            self.referred[pointer] = self.test(found)
        return self.referred[pointer]


def _type(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    tests = [_TYPES[name] for name in names]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: Mapping[str, Test] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _number,
}


def _object(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    """`properties`, `additionalProperties` and `propertyNames` in one walk over the keys."""
    known = {name: compiler.test(inner) for name, inner in schema.get("properties", {}).items()}
    rest = schema.get("additionalProperties", True)
    others = compiler.test(rest) if isinstance(rest, dict) else (lambda value: bool(rest))
    names = compiler.test(schema.get("propertyNames", {}))

    def test(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        return all([known.get(key, others)(item) and names(key) for key, item in value.items()])

    return test


def _items(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    inner = compiler.test(schema["items"])
    return lambda value: not isinstance(value, list) or all([inner(item) for item in value])


def _required(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    names = frozenset(schema["required"])
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _choice(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    choices = [schema["const"]] if "const" in schema else schema["enum"]
    texts = frozenset(choice for choice in choices if isinstance(choice, str))
    return lambda value: value in texts if isinstance(value, str) else any(_equal(value, c) for c in choices)


def _equal(one: Any, other: Any) -> bool:
    """As JSON: a truth is no number, however deep it stands."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(item, other[key]) for key, item in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _pattern(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    found = re.compile(schema["pattern"]).search
    return lambda value: not isinstance(value, str) or found(value) is not None


def _unique(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    def test(value: Any) -> bool:
        if not isinstance(value, list) or not schema["uniqueItems"]:
            return True
        # Of other things than texts jsonschema is to judge: comparing each with each takes a while.
        return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)

    return test


def _size(of: type[Any], least: str, most: str) -> Callable[[_Compiler, Mapping[str, Any]], Test]:
    def make(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
        low, high = schema.get(least, 0), schema.get(most, math.inf)
        return lambda value: not isinstance(value, of) or low <= len(value) <= high

    return make


def _range(compiler: _Compiler, schema: Mapping[str, Any]) -> Test:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above = schema.get("exclusiveMinimum", -math.inf)
    return lambda value: not _number(value) or (low <= value <= high and value > above)


_string = _size(str, "minLength", "maxLength")
_array = _size(list, "minItems", "maxItems")
_mapping = _size(dict, "minProperties", "maxProperties")

_KEYWORDS: Mapping[str, Callable[[_Compiler, Mapping[str, Any]], Test]] = {
    "type": _type,
    "$ref": lambda compiler, schema: compiler.reference(schema["$ref"]),
    "const": _choice,
    "enum": _choice,
    "required": _required,
    "minLength": _string,
    "maxLength": _string,
    "minItems": _array,
    "maxItems": _array,
    "minProperties": _mapping,
    "maxProperties": _mapping,
    "minimum": _range,
    "maximum": _range,
    "exclusiveMinimum": _range,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "properties": _object,
    "additionalProperties": _object,
    "propertyNames": _object,
    "items": _items,
}
_SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "default"})
"""Keywords that ask nothing of a document."""
