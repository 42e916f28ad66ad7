"""Reads the text of a workflow, YAML or JSON, with the line of each value.

The text is read from its events without recursion, and refused beyond its bounds before a value is made of it: YAML's
aliases can describe far more than they are long. Scalars are those of YAML 1.2's core schema, so `on` is a text, and a
date too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lambdaagent import bounded_json
from lambdaagent.coordination.bodies import has_nul
from lambdaagent.errors import PermanentError

Path = tuple[str | int, ...]
LARGEST = 128 * 1024
"""Bytes of a text."""
_LEVELS = 60
_VALUES = 20_000
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_STR = "tag:yaml.org,2002:str"
_INT = re.compile(r"[-+]?[0-9]{1,15}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]{1,300}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_CONSTANTS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class BadTextError(PermanentError):
    """The text is neither YAML nor JSON, or exceeds a bound. `line` counts from 1; 0 where none is known."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Located:
    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of the value at a path, or else of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Open:
    """A list or an object of which more may come."""

    def __init__(self, value: dict[str, Any] | list[Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None


def read(text: bytes) -> Located:
    """Raises BadTextError. It takes some ten milliseconds for a long text."""
    if len(text) > LARGEST:
        raise BadTextError(f"it has {len(text)} bytes; at most {LARGEST} are read")
    if text.lstrip()[:1] == b"{":
        try:
            return _of_json(text)
        except ValueError:
            pass  # YAML's flow style
    try:
        return _of_events(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadTextError("it is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadTextError(f"it is no YAML: {error.problem or error.context}", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise BadTextError(f"it is no YAML: {str(error).splitlines()[0][:200]}") from None


def _of_json(text: bytes) -> Located:
    """Return JSON, whose lines YAML's events tell, if YAML can read it. Raises ValueError, BadTextError."""
    value = bounded_json.loads(text)
    if has_nul(text):
        raise BadTextError("it contains the character U+0000, which cannot be stored")
    try:  # YAML has no surrogate pairs
        return Located(value, _of_events(_SURROGATE.sub(rb"\\u0041", text).decode()).lines)
    except yaml.YAMLError:
        return Located(value, {})


def _of_events(text: str) -> Located:
    lines: dict[Path, int] = {}
    stack: list[_Open] = []
    root: list[Any] = []
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise BadTextError("it has several documents; send one workflow at a time", line)
        elif isinstance(event, yaml.AliasEvent):
            raise BadTextError("it uses an alias (*), which is not read here; write the value out", line)
        elif isinstance(event, yaml.ScalarEvent):
            _add(stack, root, lines, _scalar(event, line), line, key=event.value)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            opened: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            path = _add(stack, root, lines, opened, line, key=None)
            stack.append(_Open(opened, path))
            if len(stack) > _LEVELS:
                raise BadTextError(f"it is nested deeper than {_LEVELS} levels", line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
        if len(lines) > _VALUES:
            raise BadTextError(f"it has more than {_VALUES} values", line)
    return Located(root[0] if root else None, lines)


def _add(
    stack: list[_Open], root: list[Any], lines: dict[Path, int], value: Any, line: int, *, key: str | None
) -> Path:
    if not stack:
        root.append(value)
        lines[()] = line
        return ()
    top = stack[-1]
    if isinstance(top.value, list):
        path = (*top.path, len(top.value))
        top.value.append(value)
    elif top.key is None:
        if key is None:
            raise BadTextError("a key must be a text", line)
        if key in top.value:
            raise BadTextError(f"the key {key[:64]!r} is there twice", line)
        top.key = key
        lines[*top.path, key] = line
        top.value[key] = None
        return top.path
    else:
        path = (*top.path, top.key)
        top.value[top.key] = value
        top.key = None
        return path
    lines[path] = line
    return path


def _scalar(event: yaml.ScalarEvent, line: int) -> Any:
    value: str = event.value
    if "\x00" in value:
        raise BadTextError("it contains the character U+0000, which cannot be stored", line)
    if event.tag not in (None, "!", _STR) and not event.implicit[0]:
        raise BadTextError(f"it uses the tag {event.tag[:64]}, which is not read here", line)
    if not event.implicit[0] or event.tag == _STR:  # quoted, or a block
        return value
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    if _INT.fullmatch(value):
        return int(value)
    if _FLOAT.fullmatch(value):
        number = float(value)
        return number if number - number == 0 else value
    return value
