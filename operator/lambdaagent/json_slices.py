"""Finds the members of a JSON text, so that the text of one of them can be passed on unchanged.

A structured CloudEvent holds its data as a JSON value. Parsing and printing it again would turn 1.10 into 1.1 and lose
digits of large numbers; its slice of the text keeps what the sender wrote. The standard library's scanner reports where
each value ends.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_decode = json.JSONDecoder(parse_constant=lambda name: _refuse(name)).raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def members(text: str, start: int = 0) -> Iterator[tuple[str, Any, str]]:
    """Yield name, value and the value's own text for each member of an object. Raises ValueError if it is not one."""
    for name, value, (begin, end) in _walk(text, start, "{", "}"):
        yield name, value, text[begin:end]


def elements(text: str) -> Iterator[str]:
    """Yield the text of each element of an array. Raises ValueError if the text is not one array."""
    for _, _, (begin, end) in _walk(text, 0, "[", "]"):
        yield text[begin:end]


def _walk(text: str, start: int, opening: str, closing: str) -> Iterator[tuple[str, Any, tuple[int, int]]]:
    at = _skip(text, start)
    if text[at : at + 1] != opening:
        raise ValueError(f"expected {opening!r}")
    at = _skip(text, at + 1)
    if text[at : at + 1] == closing:
        return _end(text, at + 1)
    while True:
        name = ""
        if opening == "{":
            if text[at : at + 1] != '"':
                raise ValueError(f"expected a member name at {at}")
            name, at = _decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise ValueError(f"expected ':' at {at}")
            at = _skip(text, at + 1)
        value, end = _decode(text, at)
        yield name, value, (at, end)
        at = _skip(text, end)
        if text[at : at + 1] == closing:
            return _end(text, at + 1)
        if text[at : at + 1] != ",":
            raise ValueError(f"expected ',' or {closing!r} at {at}")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError(f"more after the end at {at}")
