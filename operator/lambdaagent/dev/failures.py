"""Prints failed calls in the terminal of `dev`, with the error that the caller received.

Hazard: callers choose paths and texts. Each is printed on one line, shortened, and without control characters.
"""

import structlog
from aiohttp import web

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.records import TaskRecord

log = structlog.get_logger(__name__)

_LONGEST = 500
_FAILED = (TaskState.FAILED, TaskState.REJECTED)


def of_request(request: web.Request, status: int, why: str) -> None:
    """Log a failed request, without its query, which may contain a credential."""
    call = f"{request.method} {request.rel_url.raw_path}"
    log.warning("call.failed", call=one_line(call), status=status, error=one_line(why) or "see the response")


def of_task(record: TaskRecord) -> None:
    """Log a failed task: the response to an A2A call that returns a task is 200 even if the task has failed."""
    if record.state not in _FAILED:
        return
    parts = (record.task["status"].get("message") or {}).get("parts") or []
    said = " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
    agent = f"{record.namespace}/{record.agent}"
    log.warning("task.failed", agent=agent, task=record.id, state=str(record.state), error=one_line(said))


def one_line(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text[: 2 * _LONGEST])
    return " ".join(printable.split())[:_LONGEST]
