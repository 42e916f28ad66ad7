"""Adds the current request, its trace and the current task to every log line.

The context is set for every request but read only when a line is logged, so it holds unparsed strings. An asyncio task
inherits the context of its creator: a call to a container keeps the id of the request that started it, even after the
response to that request. Work that serves several requests (writers, pools) is started outside of any request.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.typing import EventDict

_request: ContextVar[tuple[str, str | None] | None] = ContextVar("request", default=None)
_task: ContextVar[str] = ContextVar("task", default="")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-.*")


def request(id_: str, *, traceparent: str | None) -> None:
    _request.set((id_, traceparent))


def task(id_: str) -> None:
    _task.set(id_)


@contextmanager
def one_task(id_: str) -> Iterator[None]:
    """Set the task for a block of code, in a request that concerns several tasks."""
    before = _task.set(id_)
    try:
        yield
    finally:
        _task.reset(before)


def add(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Add the context to a log line, as a structlog processor. Fields of the line itself take precedence."""
    if (asked := _request.get()) is not None:
        id_, traceparent = asked
        line.setdefault("request", id_)
        if traceparent is not None and (found := _TRACE.fullmatch(traceparent)) is not None:
            line.setdefault("trace", found[1])
    if id_ := _task.get():
        line.setdefault("task", id_)
    return line
