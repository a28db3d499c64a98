"""Frozen records for the few modules that every start of dpe imports.

`@record` is `@dataclass(frozen=True)` to a reader and to mypy. It exists because importing `dataclasses`
(9 ms) or `typing` (4 ms), and having either write a dozen classes, takes longer than the whole gate.
What is not on the gate's path uses dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False  # mypy takes this name for True, whoever defines it
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    Class = TypeVar("Class", bound=type)
    Instance = TypeVar("Instance")
else:

    def dataclass_transform(**_):
        return lambda decorator: decorator


@dataclass_transform(frozen_default=True)
def record(cls: Class) -> Class:
    """Give a class with annotated fields its constructor, equality and repr, and freeze its instances."""
    names = tuple(cls.__annotations__)
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}

    def construct(self: Any, *values: Any, **named: Any) -> None:
        if len(values) == len(names) and not named:
            self.__dict__.update(zip(names, values, strict=True))
            return
        fields = defaults | dict(zip(names, values, strict=False)) | named
        if len(fields) != len(names) or len(values) > len(names):
            odd = sorted(set(fields).symmetric_difference(names)) or list(values[len(names) :])
            raise TypeError(f"{cls.__name__}: missing, unknown or too many values: {odd}")
        self.__dict__.update((name, fields[name]) for name in names)

    cls.__init__ = construct  # type: ignore[misc]
    cls.__setattr__ = _refuse  # type: ignore[method-assign, assignment]
    cls.__eq__ = _equal  # type: ignore[method-assign, assignment]
    cls.__hash__ = _hash  # type: ignore[method-assign, assignment]
    cls.__repr__ = _show  # type: ignore[method-assign, assignment]
    return cls


def replace(original: Instance, **changes: Any) -> Instance:
    """A copy with some fields changed."""
    return type(original)(**(vars(original) | changes))


def _refuse(self: Any, name: str, value: Any) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen")


def _equal(self: Any, other: object) -> bool:
    return type(self) is type(other) and vars(self) == vars(other)


def _hash(self: Any) -> int:
    return hash(tuple(vars(self).values()))


def _show(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
