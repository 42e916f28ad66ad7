"""A request's body as JSON, and no deeper than everything that handles it later can write it again.

Hazard: the JSON library reads 1024 levels and writes 254. A message that is read and cannot be written would fail in
the store, or on its way to the container, as an error of ours. Protobuf's own readers stop at 100 levels, so nobody
can rely on more.
"""

from typing import Any

import orjson

from lambdaagent.a2a.errors import A2AError, Problem

_SURE = 200  # so many brackets cannot be nested too deep
_SPARE = 24  # levels that answers, the store and the other version's form put around


def parse(body: bytes) -> Any:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise A2AError(Problem.PARSE, f"The request is not JSON: {str(error)[:200]}") from None
    if body.count(b"[") + body.count(b"{") > _SURE:
        _require_writable(value)
    return value


def _require_writable(value: Any) -> None:
    for _ in range(_SPARE):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        raise A2AError(Problem.INVALID_REQUEST, "The request is nested too deep; 200 levels are taken.") from None
