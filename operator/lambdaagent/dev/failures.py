"""Failed calls in the terminal of `dev`: whoever tries an agent out sees there what the caller saw.

Hazard: callers choose paths and texts. What is printed is one line, cut, and nothing that a terminal obeys.
"""

import structlog
from aiohttp import web

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.records import TaskRecord

log = structlog.get_logger(__name__)

_LONGEST = 500
_FAILED = (TaskState.FAILED, TaskState.REJECTED)


def of_request(request: web.Request, status: int, why: str) -> None:
    """Without the query, which may hold a credential."""
    call = f"{request.method} {request.rel_url.raw_path}"
    log.warning("call failed", call=one_line(call), status=status, problem=one_line(why) or "see the answer")


def of_task(record: TaskRecord) -> None:
    """A call over A2A whose answer is a task: it is answered 200, failed or not."""
    if record.state not in _FAILED:
        return
    parts = (record.task["status"].get("message") or {}).get("parts") or []
    said = " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
    agent = f"{record.namespace}/{record.agent}"
    log.warning("task failed", agent=agent, task=record.id, state=str(record.state), problem=one_line(said))


def one_line(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text[: 2 * _LONGEST])
    return " ".join(printable.split())[:_LONGEST]
