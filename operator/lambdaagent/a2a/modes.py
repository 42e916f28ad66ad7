"""Input and output modes: short names and media types, and the media type of a part."""

from collections.abc import Iterable

from lambdaagent import media_types
from lambdaagent.a2a import Json

_SHORT = {"text": "text/plain", "json": media_types.JSON}


def as_media_type(mode: str) -> str:
    return _SHORT.get(mode, mode)


def union(modes: Iterable[Iterable[str]], *, default: str) -> list[str]:
    """Return the modes, each once, in the order of their first appearance."""
    return list(dict.fromkeys(mode for each in modes for mode in each)) or [default]


def part_media_type(part: Json) -> str:
    given = part.get("mediaType")
    if isinstance(given, str) and given:
        return given.partition(";")[0].strip().lower()
    if "text" in part:
        return "text/plain"
    return media_types.JSON if "data" in part else "application/octet-stream"


def accepts(modes: Iterable[str], media_type: str) -> bool:
    """Whether one of the modes covers the media type; `*/*` and `image/*` are ranges."""
    main = media_type.partition("/")[0]
    return any(mode in (media_type, "*/*", f"{main}/*") for mode in map(as_media_type, modes))
