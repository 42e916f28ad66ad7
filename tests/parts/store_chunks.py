"""A task that grows by chunks, written as the engine writes it."""

from dataclasses import replace
from typing import Any

from tests.parts.store_records import EngineStore, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, fold_all, new, status_update
from lambdaagent.store.chunked_record import grown
from lambdaagent.store.records import TaskRecord

USER = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}


def streaming(task_id: str = "t", **more: Any) -> TaskRecord:
    task = new(task_id=task_id, context_id="c", message=USER, state=TaskState.WORKING, now=1)
    return record(task_id, task=task, holder="one", **more)


def chunk(n: int, name: str = "a", *, size: int = 0) -> dict[str, Any]:
    parts = [{"text": f"{n} ".ljust(size, "x")}]
    return artifact_update({"artifactId": name, "parts": parts}, append=True, last=False)


async def stream(store: EngineStore, before: TaskRecord, *, chunks: int, size: int, **more: Any) -> TaskRecord:
    """Appends chunks one by one and returns the record after the last; `size` is in characters."""
    for n in range(chunks):
        update = chunk(n, size=size)
        before = grown(before, [update], version=before.version + 1, updated=before.updated + 1, **more)
        assert await store.append(before, updates=[update])
    return before


async def ended(store: EngineStore, before: TaskRecord) -> TaskRecord:
    update = status_update(TaskState.COMPLETED, now=9)
    task = fold_all(before.task, [update])
    last = replace(before, version=before.version + 1, state=TaskState.COMPLETED, holder="", task=task)
    assert await store.append(last, updates=[update])
    return last
