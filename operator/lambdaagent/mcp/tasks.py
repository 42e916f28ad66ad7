"""A2A's tasks in the words of the Tasks extension (SEP-2663).

A tool that failed is a completed task whose result says so; `failed` is for errors of the protocol alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import state_of, timestamp
from lambdaagent.mcp import input as asked
from lambdaagent.mcp import results
from lambdaagent.mcp.extension import ERROR
from lambdaagent.mcp.protocol import Code, McpError

POLL = 1_000  # milliseconds
_STATUS: Mapping[TaskState, str] = MappingProxyType(
    {
        TaskState.SUBMITTED: "working",
        TaskState.WORKING: "working",
        TaskState.UNSPECIFIED: "working",
        TaskState.INPUT_REQUIRED: "input_required",
        TaskState.AUTH_REQUIRED: "input_required",
        TaskState.COMPLETED: "completed",
        TaskState.FAILED: "completed",
        TaskState.REJECTED: "completed",
        TaskState.CANCELED: "cancelled",
    }
)


def error_of(task: Json) -> McpError | None:
    """Return the protocol's error with which the task failed, if it is one."""
    found = (task.get("metadata") or {}).get(ERROR)
    if state_of(task) is not TaskState.FAILED or not isinstance(found, dict):
        return None
    said = found.get("code")
    code = Code(said) if said in (Code.INVALID_PARAMS, Code.MISSING_CAPABILITY) else Code.INTERNAL_ERROR
    return McpError(code, str(found.get("message") or "The agent failed.")[:1024], found.get("data"))


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds since the epoch, and for how many seconds a task is kept after its end."""

    created: float
    updated: float
    kept: float


def created(task: Json, times: Times) -> Json:
    """Return the task as a call's result."""
    return {"resultType": "task", **_base(task, times)}


def detailed(task: Json, times: Times) -> Json:
    """Return the task with its result, its error or what it asks."""
    found = _base(task, times)
    if (error := error_of(task)) is not None:
        return found | {"error": {"code": int(error.code), "message": str(error)}}
    if asked.waits(task):
        return found | {"inputRequests": asked.pending(task), "statusMessage": asked.question(task)[:1024]}
    return found | {"result": results.of_task(task, any_data=True)} if found["status"] == "completed" else found


def _base(task: Json, times: Times) -> Json:
    return {
        "taskId": task["id"],
        "status": "failed" if error_of(task) else _STATUS[state_of(task)],
        "createdAt": timestamp(times.created),
        "lastUpdatedAt": timestamp(times.updated),
        "ttlMs": int((times.updated - times.created + times.kept) * 1000),
        "pollIntervalMs": POLL,
    }
