"""Converts a container's A2A answers to one message, in one or more responses, into updates of our task. Pure.

Each response to a request for the task holds the whole task: only what is new in it is an update.
"""

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation, summary
from lambdaagent.a2a.protojson import identifier
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.clock import Clock
from lambdaagent.containers import responses


class A2aResponses:
    """The content of the answers to one message so far. What a task repeats is not an update."""

    def __init__(self, clock: Clock, remote: str) -> None:
        self._clock = clock
        self._messages = responses.MessageReader(clock)
        self.remote = remote  # the task's id at the container; empty: not yet known
        self.begun = False
        self.settled = False
        self._artifacts: dict[str, Json] = {}
        self._has_artifacts = False
        self._status: Json | None = None

    def updates(self, event: Json) -> list[Json]:
        """Return the updates of an event. Raises ValueError if it is not valid."""
        self.begun = True
        updates = self._messages.updates(_own_ids(event))
        if "task" in event:
            updates = [update for update in updates if self._is_news(update)]
        self._has_artifacts = self._has_artifacts or any("artifactUpdate" in update for update in updates)
        self.settled = self.settled or responses.settles(updates)
        if (found := _task_id(event)) and found != self.remote:
            self.remote = found
            updates = [{"remote": found}, *updates]
        return updates

    def end(self) -> list[Json]:
        """Return the updates that the end of the response means.

        Raises ValueError if the result of the message is unknown.
        """
        updates = self._messages.end()
        if not updates and not self.settled and not self.remote:
            if not self._has_artifacts:
                raise ValueError("it ends without a result for the message")
            updates = [status_update(TaskState.COMPLETED, now=self._clock.now())]
        self.settled = self.settled or responses.settles(updates)
        return updates

    def _is_news(self, update: Json) -> bool:
        """Whether an update of a whole task is new; a status must settle the task or have a new message or metadata."""
        if "artifactUpdate" in update:
            artifact = update["artifactUpdate"]["artifact"]
            known = self._artifacts.get(artifact["artifactId"])
            self._artifacts[artifact["artifactId"]] = artifact
            return bool(known != artifact)
        change = update["statusUpdate"]
        status = {key: value for key, value in change["status"].items() if key != "timestamp"}
        said = {"status": status, "metadata": change.get("metadata")}
        before, self._status = self._status, said
        return responses.settles([update]) or (said != before and ("message" in status or bool(said["metadata"])))


def _own_ids(event: Json) -> Json:
    """Return the event without ids of the container's other tasks, which mean nothing to our clients."""
    ((name, content),) = event.items()
    if name == "message":
        return {"message": _without_references(content)}
    history = content.get("history")
    if isinstance(history, list) and history and isinstance(history[-1], dict):
        content = {**content, "history": [*history[:-1], _without_references(history[-1])]}
    status = content.get("status")
    if not isinstance(status, dict) or not isinstance(status.get("message"), dict):
        return {name: content}
    return {name: {**content, "status": {**status, "message": _without_references(status["message"])}}}


def _without_references(message: Json) -> Json:
    return {key: value for key, value in message.items() if key not in ("referenceTaskIds", "reference_task_ids")}


def _task_id(event: Json) -> str:
    """Return the task's id at the container, also if the task has ended: another message may refer to it.

    Raises ValueError for an id that cannot be stored.
    """
    ((name, content),) = event.items()
    found: list[Violation] = []
    value = content.get("id" if name == "task" else "taskId") if name != "message" else None
    task_id = identifier(value, found, at=f"{name}.id", required=False)
    if found:
        raise ValueError(summary(found, between=" "))
    return task_id
