"""Folds the updates of a response into a task."""

from typing import Any

from tests.parts.a2a_schemas import check_v1

from lambdaagent.a2a import tasks
from lambdaagent.a2a.states import TaskState

Json = dict[str, Any]


def task_after(updates: list[Json]) -> Json:
    """Returns the task that these updates make, and checks it against the schema of the protocol."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    task = tasks.new(task_id="t", context_id="c", message=message, state=TaskState.WORKING, now=1)
    for update in updates:
        task = tasks.fold(task, update)
    check_v1("Task", task)
    return task
