"""How updates change a task: the one place that folds a stream event into a task (1.0 sections 4.1 and 4.2).

Tasks are plain dicts in the 1.0 form and are never changed in place, so that a stored snapshot can be returned without
a copy. A terminal task does not change: later updates are refused here, whatever their source.
"""

from collections.abc import Sequence
from itertools import groupby

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role, TaskState, parse_state
from lambdaagent.clock import rfc3339
from lambdaagent.errors import PermanentError

MOST_ARTIFACTS = 1_000
MOST_PARTS = 100_000
"""Of one artifact; each chunk of a stream adds its parts."""


class OverfullError(PermanentError):
    """The task would hold more than can be stored and shown."""


class TerminalTaskError(Exception):
    """The task has ended and accepts no more updates."""


def timestamp(seconds: float) -> str:
    """Return the time as the protocol writes it: ISO 8601 in UTC with milliseconds."""
    return rfc3339(seconds, digits="milliseconds")


def new(*, task_id: str, context_id: str, message: Json, state: TaskState, now: float) -> Json:
    return {
        "id": task_id,
        "contextId": context_id,
        "status": {"state": str(state), "timestamp": timestamp(now)},
        "history": [addressed(message, task_id=task_id, context_id=context_id)],
    }


def addressed(message: Json, *, task_id: str, context_id: str) -> Json:
    return {**message, "taskId": task_id, "contextId": context_id}


def state_of(task: Json) -> TaskState:
    return parse_state(task["status"].get("state")) or TaskState.UNSPECIFIED


def status_update(
    state: TaskState,
    *,
    now: float,
    message: Json | None = None,
    metadata: Json | None = None,
    direct: bool = False,
) -> Json:
    """Return the update. `direct`: the message is the whole answer, and the agent made no task; see `answer`."""
    status: Json = {"state": str(state), "timestamp": timestamp(now)}
    if message is not None:
        status["message"] = message
    update: Json = {"status": status}
    if metadata:
        update["metadata"] = metadata
    return {"statusUpdate": update, "direct": True} if direct else {"statusUpdate": update}


def artifact_update(artifact: Json, *, append: bool = False, last: bool = True, metadata: Json | None = None) -> Json:
    update: Json = {"artifact": artifact, "append": append, "lastChunk": last}
    if metadata:
        update["metadata"] = metadata
    return {"artifactUpdate": update}


def agent_message(parts: list[Json], *, message_id: str) -> Json:
    return {"messageId": message_id, "role": str(Role.AGENT), "parts": parts}


def with_message(task: Json, message: Json, *, now: float) -> Json:
    """Return the task with the client's next message: it works again, and the former status message joins the history.

    Raises TerminalTaskError.
    """
    if state_of(task).terminal:
        raise TerminalTaskError
    turn = addressed(message, task_id=task["id"], context_id=task["contextId"])
    history = [*_with_former_status(task), turn]
    return {**task, "status": {"state": str(TaskState.WORKING), "timestamp": timestamp(now)}, "history": history}


def refused(waited: Json, *, now: float) -> Json:
    """Return the update that restores the status `waited`, because the agent refused the client's newest message.

    Only the message of that status, if it had one, joined the history with the client's message.
    """
    state = parse_state(waited.get("state")) or TaskState.INPUT_REQUIRED
    return {**status_update(state, now=now, message=waited.get("message")), "refused": True}


def fold(task: Json, update: Json) -> Json:
    return fold_all(task, [update])


def fold_all(task: Json, updates: Sequence[Json]) -> Json:
    """Return the task after all updates, in order. An artifact's parts are copied once, however many are added."""
    for adds, group in groupby(updates, key=_is_of_artifact):
        if state_of(task).terminal:
            raise TerminalTaskError
        if adds:
            changes = [update["artifactUpdate"] for update in group]
            task = {**task, "artifacts": _artifacts(task.get("artifacts", []), changes)}
        else:
            for update in group:
                task = _with_status(task, update)
    return task


def _is_of_artifact(update: Json) -> bool:
    return "artifactUpdate" in update


def _with_status(task: Json, update: Json) -> Json:
    if state_of(task).terminal:
        raise TerminalTaskError
    change = update["statusUpdate"]
    status = dict(change["status"])
    if "message" in status:
        message = addressed(status["message"], task_id=task["id"], context_id=task["contextId"])
        if update.get("direct"):
            del message["taskId"]
        status["message"] = message
    if update.get("refused"):
        history = task["history"][: -2 if "message" in status else -1]
    else:
        history = _with_former_status(task, now=status.get("message"))
    folded = {**task, "status": status, "history": history}
    if change.get("metadata"):
        folded["metadata"] = {**task.get("metadata", {}), **change["metadata"]}
    return folded


def answer(task: Json) -> Json:
    """Return the answer to a message as a StreamResponse: the task, or the agent's direct Message (1.0 section 3.1.1).

    A direct Message names no task. The gateway stores it as the status of one, so that it is not lost and a repeated
    request gets the same answer.
    """
    message = task["status"].get("message")
    is_direct = message is not None and "taskId" not in message and state_of(task) is TaskState.COMPLETED
    return {"message": message} if is_direct and len(task.get("history", ())) <= 1 else {"task": task}


def shown(task: Json, *, history_length: int | None) -> Json:
    """Return the task with at most this number of its newest messages; none for 0 (1.0 section 3.2.4)."""
    if history_length is None:
        return task
    history = task.get("history", [])[-history_length:] if history_length else []
    return {**task, "history": history} if history else {key: value for key, value in task.items() if key != "history"}


def _with_former_status(task: Json, *, now: Json | None = None) -> list[Json]:
    """Return the history with the message of the present status, unless it is that of the next one, `now`, too."""
    former = task["status"].get("message")
    history: list[Json] = task.get("history", [])
    if former is None or (now is not None and now.get("messageId") == former.get("messageId")):
        return history
    return [*history, former]


def _artifacts(artifacts: Sequence[Json], changes: Sequence[Json]) -> list[Json]:
    """Fold changes into artifacts.

    An append to an unknown one creates it: its first chunk may be lost, the rest is useful.

    Invariant: only copies that were made here are changed in place.
    """
    folded = list(artifacts)
    places = {artifact["artifactId"]: place for place, artifact in enumerate(folded)}
    made: set[int] = set()  # places of artifacts that are copied already
    for change in changes:
        given: Json = change["artifact"]
        place = places.setdefault(given["artifactId"], len(folded))
        if place == len(folded):
            if place >= MOST_ARTIFACTS:
                raise OverfullError(f"the task has more than {MOST_ARTIFACTS} artifacts")
            folded.append(given)
            continue
        if not change.get("append"):
            folded[place] = given
            made.discard(place)
        else:
            if place not in made:
                folded[place] = {**folded[place], "parts": list(folded[place]["parts"])}
                made.add(place)
            parts, metadata = folded[place]["parts"], folded[place].get("metadata")
            parts.extend(given["parts"])
            folded[place].update(given, parts=parts)
            if metadata and given.get("metadata"):
                folded[place]["metadata"] = {**metadata, **given["metadata"]}
        if len(folded[place]["parts"]) > MOST_PARTS:
            raise OverfullError(f"one of its artifacts has more than {MOST_PARTS} parts")
    return folded
