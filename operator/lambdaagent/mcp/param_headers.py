"""The headers that repeat arguments of a tool, by which proxies route (2026-07-28, "Custom Headers from Tool
Parameters").

A property of the tool's schema names its header. Only properties below properties count. A server refuses a call whose
headers differ from its arguments: a proxy in front has decided by the headers.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.mcp.client import Headers, header_value
from lambdaagent.mcp.envelope import decoded
from lambdaagent.mcp.protocol import Code, McpError

_KEY, _PREFIX = "x-mcp-header", "Mcp-Param-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_INTEGER = re.compile(r"(-?[0-9]{1,64})(?:\.0+)?")
_KINDS = ("string", "integer", "boolean")
_DEEPEST, _MOST = 16, 64


@dataclass(frozen=True, slots=True)
class ParamHeader:
    path: tuple[str, ...]
    name: str
    kind: str  # string, integer or boolean

    def of(self, arguments: Json) -> Any:
        """Return the argument; None if it is not there."""
        found: Any = arguments
        for name in self.path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


def of_schema(schema: Json | None) -> tuple[ParamHeader, ...]:
    """Return the headers of a tool's arguments, each once."""
    found: dict[str, ParamHeader] = {}
    for each in _named(schema, ()):
        found.setdefault(each.name.lower(), each)
        if len(found) >= _MOST:
            break
    return tuple(found.values())


def of_arguments(schema: Json | None, arguments: Json) -> Headers:
    """Return the headers of a call."""
    values = ((each, each.of(arguments)) for each in of_schema(schema))
    return [(each.name, header_value(_written(value))) for each, value in values if _is_plain(value)]


def require_equal(wanted: Sequence[ParamHeader], arguments: Json, values: Callable[[str], Sequence[str]]) -> None:
    """Raises McpError unless each header says what its argument is; `values` returns all values of a header."""
    for each in wanted:
        said, value, argument = values(each.name), each.of(arguments), ".".join(each.path)
        if len(said) > 1:
            raise _mismatch(f"The header {each.name} occurs more than once.")
        if not said:
            if _is_plain(value):
                raise _mismatch(f"The argument {argument} needs the header {each.name}.")
        elif value is None:
            raise _mismatch(f"The header {each.name} has no argument {argument} in the body.")
        elif not _is_same(each, value, decoded(said[0])):
            raise _mismatch(f"The header {each.name} is not the argument {argument} of the body.")


def _named(schema: Any, path: tuple[str, ...]) -> Iterator[ParamHeader]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) >= _DEEPEST:
        return
    for name, described in properties.items():
        if not isinstance(described, dict):
            continue
        token, kind = described.get(_KEY), described.get("type")
        if isinstance(token, str) and _TOKEN.fullmatch(token) and kind in _KINDS:
            yield ParamHeader((*path, name), _PREFIX + token, str(kind))
        yield from _named(described, (*path, name))


def _is_same(header: ParamHeader, value: Any, said: str | None) -> bool:
    if said is None or not _is_plain(value):
        return False
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if header.kind == "integer" and whole and not isinstance(value, bool) and (number := _INTEGER.fullmatch(said)):
        return int(number[1]) == int(value)
    return said == _written(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mismatch(text: str) -> McpError:
    return McpError(Code.HEADER_MISMATCH, text)
