"""The headers that repeat arguments of a tool, by which proxies route (2026-07-28, "Custom Headers from Tool
Parameters").

A property of the tool's schema names its header. Only properties below properties count. A server refuses a call whose
headers differ from its arguments.
"""

import re
from collections.abc import Iterator
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.mcp.client import Headers, header_value

_KEY, _PREFIX = "x-mcp-header", "Mcp-Param-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_KINDS = ("string", "integer", "boolean")
_DEEPEST, _MOST = 16, 64


def of_arguments(schema: Json | None, arguments: Json) -> Headers:
    found: dict[str, tuple[str, str]] = {}
    for token, value in _named(schema, arguments, _DEEPEST):
        found.setdefault(token.lower(), (f"{_PREFIX}{token}", header_value(_written(value))))
        if len(found) >= _MOST:
            break
    return list(found.values())


def _named(schema: Any, value: Any, deepest: int) -> Iterator[tuple[str, Any]]:
    """Yield the tokens with the values that are there."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(value, dict) or not deepest:
        return
    for name, described in properties.items():
        inner = value.get(name)
        if inner is None or not isinstance(described, dict):
            continue
        token = described.get(_KEY)
        if isinstance(token, str) and _TOKEN.fullmatch(token) and described.get("type") in _KINDS and _is_plain(inner):
            yield token, inner
        yield from _named(described, inner, deepest - 1)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
