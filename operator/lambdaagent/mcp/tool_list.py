"""The tools of a server, as its pages list them. A tool without a name of the protocol's form is no tool."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json

LONGEST_NAME = 128
MOST_TOOLS = 2_000
MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Page:
    tools: tuple[Json, ...]
    cursor: str | None
    ttl: float | None  # seconds for which the list is fresh


def page(found: Json) -> Page:
    """Return what the result of `tools/list` says. Raises ValueError."""
    tools = found.get("tools")
    if not isinstance(tools, list):
        raise ValueError("its answer to tools/list has no list of tools")
    cursor, ttl = found.get("nextCursor"), found.get("ttlMs")
    fresh = float(ttl) / 1000 if isinstance(ttl, int | float) and not isinstance(ttl, bool) and ttl >= 0 else None
    return Page(tuple(_named(tools)), cursor if isinstance(cursor, str) else None, fresh)


def _named(tools: list[Any]) -> Iterator[Json]:
    for each in tools:
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable():
            yield each
