"""Which schemas are accepted: those of 2020-12 that cost little to check a value against, whatever the value.

A schema comes from whoever may create agents, and it is checked on the event loop of processes that serve everybody.
So nothing is fetched, no reference leads back to itself, and size, depth and the number of subschemas, each counted
once for each reference to it, are limited. What the standard calls annotations is not looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from lambdaagent.json_schema import patterns
from lambdaagent.json_schema.patterns import PatternError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BYTES = 64 * 1024
LEVELS = 20
SUBSCHEMAS = 1_000
Path = tuple[str | int, ...]
Fault = tuple[Path, str]

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_UNEVALUATED = frozenset(("unevaluatedItems", "unevaluatedProperties"))
_SCHEMA = _UNEVALUATED | {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_DEFINITIONS = frozenset(("$defs", "definitions"))
_NAMED = frozenset(("properties", "patternProperties", "dependentSchemas")) | _DEFINITIONS
_REFUSED = frozenset(("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _is_types(value: Any) -> bool:
    found = value if isinstance(value, list) else [value]
    return bool(found) and _is_names(found) and all(each in _TYPES for each in found)


_Form = tuple[Callable[[Any], bool], str]
_COUNT: _Form = (_is_count, "must be a whole number of 0 or more")
_NUMBER: _Form = (_is_number, "must be a number")
_TEXT: _Form = (lambda value: isinstance(value, str), "must be a text")
_FORMS: Mapping[str, _Form] = {
    "$schema": (lambda value: value == DIALECT, f"is not supported; the dialect is {DIALECT}"),
    "$anchor": _TEXT,
    "description": _TEXT,
    "enum": (lambda value: isinstance(value, list), "must be a list"),
    "exclusiveMaximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "format": _TEXT,
    "maxContains": _COUNT,
    "maxItems": _COUNT,
    "maxLength": _COUNT,
    "maxProperties": _COUNT,
    "maximum": _NUMBER,
    "minContains": _COUNT,
    "minItems": _COUNT,
    "minLength": _COUNT,
    "minProperties": _COUNT,
    "minimum": _NUMBER,
    "multipleOf": (lambda value: _is_number(value) and value > 0, "must be a number above 0"),
    "required": (_is_names, "must be a list of different texts"),
    "title": _TEXT,
    "type": (_is_types, f"must be one of {', '.join(_TYPES)}, or a list of them"),
    "uniqueItems": (lambda value: isinstance(value, bool), "must be true or false"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
        "must be an object of lists of different texts",
    ),
}


@dataclass(slots=True)
class Budget:
    """What all schemas of one agent may have together."""

    bytes: int = 256 * 1024
    patterns: int = 4_096  # the sum of the patterns' weights


def faults(schema: Mapping[str, Any], budget: Budget) -> list[Fault]:
    """Return why the schema is refused: paths within it, with what is wrong there. It takes its part of the budget."""
    try:
        size = len(orjson.dumps(dict(schema)))
    except TypeError as error:
        return [((), f"cannot be written as JSON: {error}")]
    if size > BYTES:
        return [((), f"has {size} bytes as JSON; the maximum is {BYTES}")]
    budget.bytes -= size
    if budget.bytes < 0:
        return [((), f"makes the agent's schemas together larger than the maximum of {Budget().bytes} bytes")]
    walk = _Walk(budget)
    walk.schema(schema, ())
    return walk.found or list(walk.references())


class _Walk:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.found: list[Fault] = []
        self._parts: dict[Path, list[Path]] = {}  # of each subschema, those that are checked with it
        self._refs: dict[Path, str] = {}
        self._anchors: dict[str, Path] = {}
        self._named_by_pattern = self._unevaluated = False

    def schema(self, value: Any, path: Path, *, level: int = 0) -> None:
        if self.found:
            return
        if level > LEVELS or len(self._parts) >= SUBSCHEMAS:
            what = f"{LEVELS} levels" if level > LEVELS else f"{SUBSCHEMAS} subschemas"
            self.found.append((path, f"is too much: the maximum is {what}"))
            return
        self._parts[path] = []
        if isinstance(value, bool):
            return
        if not isinstance(value, Mapping):
            self.found.append((path, "must be a schema: an object, true or false"))
            return
        for name, each in value.items():
            self._keyword(name, each, path, level)

    def _keyword(self, name: str, value: Any, at: Path, level: int) -> None:
        path = (*at, name)
        if name in _REFUSED or (name in ("$id", "$schema") and at):
            self.found.append((path, "is not supported; refer to a subschema as #/$defs/NAME"))
        elif name == "$ref":
            if isinstance(value, str) and value.startswith("#"):
                self._refs[at] = value
            else:
                self.found.append((path, "must be within the schema, such as #/$defs/NAME: nothing is fetched"))
        elif name in _SCHEMA:
            self._unevaluated |= name in _UNEVALUATED
            self._part(value, at, path, level)
        elif name in _LISTS:
            self._several(value, list, "must be a list of schemas", at, path, level)
        elif name in _NAMED:
            self._several(value, dict, "must be an object of schemas", at, path, level)
        elif name == "pattern":
            self._pattern(value, path)
        elif (form := _FORMS.get(name)) is not None and not form[0](value):
            self.found.append((path, form[1]))
        if name == "patternProperties" and isinstance(value, dict):
            self._named_by_pattern = True
            for each in value:
                self._pattern(each, (*path, each))
        if name == "$anchor" and isinstance(value, str):
            self._anchors[value] = at
        if self._named_by_pattern and self._unevaluated:
            self.found.append((path, "is not supported together: unevaluatedProperties with patternProperties"))

    def _several(self, value: Any, kind: type[Any], otherwise: str, at: Path, path: Path, level: int) -> None:
        if not isinstance(value, kind) or (kind is list and not value):
            self.found.append((path, otherwise))
            return
        parts: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in parts:
            self._part(each, at, (*path, key), level)

    def _part(self, value: Any, at: Path, path: Path, level: int) -> None:
        if path[len(at)] not in _DEFINITIONS:
            self._parts[at].append(path)
        self.schema(value, path, level=level + 1)

    def _pattern(self, value: Any, path: Path) -> None:
        try:
            if not isinstance(value, str):
                raise PatternError("must be a text")
            if len(value) <= patterns.LONGEST:
                self._budget.patterns -= patterns.weight(value)
                if self._budget.patterns < 0:
                    raise PatternError(
                        "makes the agent's patterns together too large: repeat less, or use fewer classes such as \\w"
                    )
            patterns.matcher(value)
        except PatternError as error:
            self.found.append((path, str(error)))

    def references(self) -> Iterator[Fault]:
        places = {tuple(map(str, path)): path for path in self._parts}
        for at, said in self._refs.items():
            target = self._target(said, places)
            if target is None:
                yield (*at, "$ref"), f"{said[:100]!r} is no subschema of this schema"
                return
            self._parts[at].append(target)
        sizes: dict[Path, int] = {}
        if (fault := self._size((), sizes, [])) is not None:
            yield fault
        elif sizes[()] > SUBSCHEMAS:
            yield (), f"has {sizes[()]} subschemas, counted for each reference; the maximum is {SUBSCHEMAS}"

    def _target(self, said: str, places: Mapping[tuple[str, ...], Path]) -> Path | None:
        if not said.startswith("#/"):
            return () if said == "#" else self._anchors.get(said[1:])
        parts = [unquote(part).replace("~1", "/").replace("~0", "~") for part in said[2:].split("/")]
        return places.get(tuple(parts))

    def _size(self, at: Path, sizes: dict[Path, int], above: list[Path]) -> Fault | None:
        if at in sizes:
            return None
        if at in above:
            return (*above[-1], "$ref"), "leads back to itself; a value of any depth would be checked"
        if len(above) > 2 * LEVELS:
            return at, f"is too deep with its references: the maximum is {2 * LEVELS} levels"
        above.append(at)
        for part in self._parts[at]:
            if (fault := self._size(part, sizes, above)) is not None:
                return fault
        above.pop()
        sizes[at] = 1 + sum(sizes[part] for part in self._parts[at])
        return None
