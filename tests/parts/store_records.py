"""Records for tests of the stores."""

from dataclasses import replace
from typing import Any

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.records import DeadLetter, Push, TaskRecord
from lambdaagent.tasks.push_delivery import EngineStore

__all__ = ["UPDATE", "EngineStore", "ended", "following", "letter", "push", "record"]


def record(task_id: str = "t", **more: Any) -> TaskRecord:
    fields: dict[str, Any] = {
        "id": task_id, "context_id": "c", "namespace": "shop", "agent": "cart", "skill": None, "owner": "anonymous",
        "version": 0, "state": TaskState.WORKING, "created": 1.0, "updated": 1.0,
        "task": {"id": task_id, "n": 2**53 + 1},
    }  # fmt: skip
    return TaskRecord(**{**fields, **more})


def following(before: TaskRecord, **more: Any) -> TaskRecord:
    return replace(before, version=before.version + 1, **more)


UPDATE = {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}


async def ended(store: EngineStore, task_id: str, *, updated: float, **more: Any) -> TaskRecord:
    """Creates a task, completes it and returns the last record."""
    first = record(task_id, updated=updated, **more)
    await store.create(first)
    last = following(first, state=TaskState.COMPLETED)
    await store.append(last, updates=[UPDATE])
    return last


def push(push_id: str = "p", **more: Any) -> Push:
    fields: dict[str, Any] = {"task_id": "t", "url": "https://hook.example/", "wire": "1.0", "token": "secret"}
    return Push(**{**fields, "id": push_id, **more})


def letter(**more: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "namespace": "shop",
        "agent": "",
        "reason": "why",
        "received": 3.0,
        "attributes": {"id": "1", "source": "/s", "n": 7},
    }
    return DeadLetter(**{**fields, "data": b"\x00", **more})
