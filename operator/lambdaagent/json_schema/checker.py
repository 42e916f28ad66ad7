"""Checks values against a schema that `structure.faults` accepts, with `jsonschema`.

Hazards: the library matches patterns with Python's `re`, compares each element of `uniqueItems` and `enum` with each
other one, and writes the whole value into the message of each violation, of which `anyOf` keeps one for each of its
schemas. Here patterns are matched in linear time, values are compared by their text, the checked value has a short form
for messages, and each keyword that is looked at takes one of a limited number of steps, so that a check ends. Formats
are annotations: they are not checked.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry

from lambdaagent.json_schema import patterns

STEPS = 200_000
VALUES = 200_000  # of the checked value
_SHOWN = 3  # violations
_TEXT = 300  # characters of the description of one
_WORDS = 64  # characters of a text, and values of a list, in a message
_MEMBERS = 16  # of a keyword's value that cost as much as one step
_COMPARED = 64  # bytes of a value's text that cost as much as one step
_MATCHED = 4_000  # characters times weight of a pattern that cost as much as one step
Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class ExhaustedError(Exception):
    """The check has taken all its steps."""


class Checker:
    """Checks values against one schema. A check neither waits nor changes anything, so it may run in a thread."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # By $schema the library would choose its own class of the dialect, without the keywords of this module.
        own = {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
        self._validator = _VALIDATOR(own, registry=Registry())
        self._allowed: dict[int, frozenset[bytes]] = {}

    def violations(self, value: Any, *, name: str, steps: int = STEPS) -> list[str]:
        """Return the first violations, each with the path of what is wrong below `name`; none if the value is valid.

        Raises ExhaustedError.
        """
        if not few_values(value, most=VALUES):
            return [f"{name}: has more than {VALUES} values; send fewer, or send them as a file"]
        former = _CHECK.set(Check(steps, self._allowed))
        try:
            found = islice(self._validator.iter_errors(_brief(value)), _SHOWN)
            return [_described(best_match([error]) or error, name) for error in found]
        finally:
            _CHECK.reset(former)


def few_values(value: Any, *, most: int, characters: int | None = None) -> bool:
    """Return whether the value has at most so many values within it, and characters of text."""
    waiting, seen, length = [value], 0, 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if isinstance(one, str):
            length += len(one)
        elif isinstance(one, dict | list):
            if len(one) > most:
                return False
            waiting.extend(one.values() if isinstance(one, dict) else one)
        if seen > most or (characters is not None and length > characters):
            return False
    return True


class Check:
    """What one check has left, and the texts of the values that `enum` and `const` allow, by the list's identity."""

    def __init__(self, steps: int, allowed: dict[int, frozenset[bytes]]) -> None:
        self._left = steps
        self._allowed = allowed

    def take(self, number: int = 1) -> None:
        """Raises ExhaustedError."""
        self._left -= number
        if self._left < 0:
            raise ExhaustedError

    def allowed(self, values: list[Any]) -> frozenset[bytes]:
        known = self._allowed.get(id(values))
        if known is None:
            known = self._allowed[id(values)] = frozenset(map(_text, values))
        return known


_CHECK: ContextVar[Check] = ContextVar("check")


class _Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"{self[:_WORDS]!r}..."


class _Array(list[Any]):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"an array of {len(self)}"


class _Object(dict[str, Any]):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"an object of {len(self)}"


def _brief(value: Any) -> Any:
    """Return the same value, with a short form for messages."""
    if isinstance(value, str):
        return _Text(value) if len(value) > _WORDS else value
    if isinstance(value, list):
        return _Array(map(_brief, value))
    if isinstance(value, dict):
        return _Object((_brief(name), _brief(each)) for name, each in value.items())
    return value


def _described(error: ValidationError, name: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{str(part)[:64]}" for part in error.absolute_path)
    text = error.message if len(error.message) <= _TEXT else f"{error.message[:_TEXT]}..."
    return f"{name}{path}: {text}"


def _counted(keyword: Keyword) -> Keyword:
    def count(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        _CHECK.get().take(1 + len(value) // _MEMBERS if isinstance(value, list | dict) else 1)
        return keyword(validator, value, instance, schema)

    return count


def _matches(pattern: str, text: str) -> bool:
    _CHECK.get().take(len(text) * patterns.weight(pattern) // _MATCHED)
    return patterns.matcher(pattern)(text)


def _pattern(_validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    if len(instance) > patterns.LONGEST_TEXT:
        yield ValidationError(f"is longer than the {patterns.LONGEST_TEXT} characters that a pattern is matched with")
    elif not _matches(pattern, instance):
        yield ValidationError(f"{instance[:64]!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, named: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in named.items():
        for name, value in instance.items():
            if len(name) <= patterns.LONGEST_TEXT and _matches(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named, matched = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(len(name) <= patterns.LONGEST_TEXT and _matches(pattern, name) for pattern in matched):
            continue
        if allowed is False:
            yield ValidationError("is not known to the schema", path=[name])
        else:
            yield from validator.descend(value, allowed, path=name)


def _required(_validator: Any, required: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in required:
            if name not in instance:
                yield ValidationError("is required and missing", path=[name])


def _unique(_validator: Any, wanted: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    seen: set[bytes] = set()
    for index, each in enumerate(instance):
        text = _charged(each)
        if text in seen:
            yield ValidationError("is there twice, and the elements must be different", path=[index])
            return
        seen.add(text)


def _enum(_validator: Any, values: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if _charged(instance) not in _CHECK.get().allowed(values):
        shown = ", ".join(repr(_brief(each)) for each in values[:_WORDS])
        yield ValidationError(f"{instance!r} is not one of {shown}{'...' if len(values) > _WORDS else ''}")


def _const(_validator: Any, value: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if _charged(instance) != _charged(value):
        yield ValidationError(f"{instance!r} is not {_brief(value)!r}")


def _unevaluated(keyword: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        _CHECK.get().take(len(instance) if isinstance(instance, list | dict) else 0)  # a message names each of them
        return keyword(validator, value, instance, schema)

    return check


def _charged(value: Any) -> bytes:
    text = _text(value)
    _CHECK.get().take(len(text) // _COMPARED)
    return text


def _text(value: Any) -> bytes:
    """Return a text that two values have in common if and only if they are equal."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    """Return the value with whole numbers as integers: 1 and 1.0 are equal."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _annotation(_validator: Any, _value: Any, _instance: Any, _: Any) -> None:
    return None


_OWN: dict[str, Keyword] = {
    "additionalProperties": _additional_properties,
    "const": _const,
    "enum": _enum,
    "format": _annotation,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "required": _required,
    "uniqueItems": _unique,
} | {
    name: _unevaluated(Draft202012Validator.VALIDATORS[name]) for name in ("unevaluatedItems", "unevaluatedProperties")
}
_VALIDATOR = extend(
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
