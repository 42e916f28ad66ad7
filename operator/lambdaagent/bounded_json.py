"""Parses untrusted JSON within limits, so that parsing is cheap and the value can be written again.

The JSON library blocks the interpreter while it parses, so a text of many small values would delay every other request
of the process. Therefore the values are counted in the text first. The library also reads 1024 levels but writes 254: a
value that is read and cannot be written would fail in the store, or on its way to the container. Protobuf's own parsers
stop at 100 levels, so no client can rely on more.

Hazard: every text of a client, a container, an event or a file that is parsed as a whole must pass this module.
"""

from typing import Any

import orjson

MOST = 500_000
"""The limit of one text: an element of an array counts 1; an array, an object and a member of one count 3 more each."""
LEVELS = 200
_SPARE = 24  # levels that responses, the store and the form of the other version add around a value
_MEMBER = 3


class BoundError(ValueError):
    """The text exceeds a limit; it may be valid JSON."""


class TooManyValuesError(BoundError):
    def __init__(self) -> None:
        super().__init__("it contains too many values; send fewer, or send them as a file")


class TooDeepError(BoundError):
    def __init__(self) -> None:
        super().__init__(f"it is nested too deep; the maximum is {LEVELS} levels")


def loads(body: bytes, *, most: int = MOST) -> Any:
    """Parse a text. Raises BoundError beyond a limit, orjson.JSONDecodeError (also a ValueError) if it is not JSON."""
    require_few_values(body, most=most)
    value = orjson.loads(body)
    if body.count(b"[") + body.count(b"{") > LEVELS:
        _require_writable(value)
    return value


def require_few_values(body: bytes, *, most: int = MOST) -> None:
    """Raises TooManyValuesError. The check is cheap for a text that is short or mostly strings."""
    # The densest text consists of brackets only.
    if len(body) * _MEMBER <= most or _weight(body) <= most:
        return
    # Commas and brackets within strings do not count. With very many strings, removing them would itself take too long.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > most * 4 // 5 or _weight(b"".join(plain.split(b'"')[::2])) > most:
        raise TooManyValuesError


def _weight(text: bytes) -> int:
    return text.count(b",") + _MEMBER * (text.count(b":") + text.count(b"[") + text.count(b"{"))


def _require_writable(value: Any) -> None:
    for _ in range(_SPARE):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        raise TooDeepError from None
