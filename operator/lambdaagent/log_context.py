"""What is being worked on, for every log line that is written meanwhile: the request, its trace, the task.

It is noted on the way of every request and read only when a line is written, so what is noted is two strings as they
came. asyncio's tasks begin with what their creator noted: the call to a container keeps the id of the request that
began it, long after that was answered. Work that serves several requests (writers, pools) is begun outside of any.
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
    """Where the request is about more than this."""
    before = _task.set(id_)
    try:
        yield
    finally:
        _task.reset(before)


def add(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A processor of structlog's; what the line says itself counts."""
    if (asked := _request.get()) is not None:
        id_, traceparent = asked
        line.setdefault("request", id_)
        if traceparent is not None and (found := _TRACE.fullmatch(traceparent)) is not None:
            line.setdefault("trace", found[1])
    if id_ := _task.get():
        line.setdefault("task", id_)
    return line
