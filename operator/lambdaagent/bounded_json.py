"""JSON that others wrote, read only where reading it and writing it again is cheap and possible.

The JSON library holds the interpreter while it reads: a text of many small values would hold up every other request of
the process. So the values are counted before, in the text. And it reads 1024 levels and writes 254: a value that is
read and cannot be written would fail in the store, or on its way to the container. Protobuf's own readers stop at 100
levels, so nobody can rely on more.

Hazard: every text of a client, a container, an event or a file that is read as a whole must come through here.
"""

from typing import Any

import orjson

MOST = 500_000
"""What one text may hold: an element of an array counts 1, an array, an object and a member of one 3 more each."""
LEVELS = 200
_SPARE = 24  # levels that answers, the store and the other version's form put around
_MEMBER = 3


class BoundError(ValueError):
    """It is JSON, or may be, and more than is read."""


class TooManyValuesError(BoundError):
    def __init__(self) -> None:
        super().__init__("it holds too many values; send fewer, or send them as a file")


class TooDeepError(BoundError):
    def __init__(self) -> None:
        super().__init__(f"it is nested too deep; {LEVELS} levels are taken")


def loads(body: bytes) -> Any:
    """Raises BoundError; orjson.JSONDecodeError, a ValueError too, for what is no JSON."""
    require_few_values(body)
    value = orjson.loads(body)
    if body.count(b"[") + body.count(b"{") > LEVELS:
        _require_writable(value)
    return value


def require_few_values(body: bytes, *, most: int = MOST) -> None:
    """Raises TooManyValuesError. Costs little for a text that is short or mostly strings."""
    # The densest text is brackets alone.
    if len(body) * _MEMBER <= most or _weight(body) <= most:
        return
    # Commas and brackets within strings do not count. To leave out very many strings would take too long itself.
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
