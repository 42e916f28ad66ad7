"""Calls of the agents that are workflows: a task's call is a run, whose output is the task's artifact.

The run's id follows from the task's, so a replica that repeats the call finds the same run. Other agents' calls pass
through to their containers.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import agent_message, artifact_update, status_update
from lambdaagent.clock import Clock
from lambdaagent.containers.call import Caller, NotTakenError
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.coordination.workflow import DEPTH, PREFIX
from lambdaagent.errors import LambdaAgentError
from lambdaagent.outbox import Outbox

if TYPE_CHECKING:  # its import costs SQLAlchemy's, which a sidecar does not need
    from lambdaagent.gateway.coordination.workflow_starts import WorkflowStarts


class WorkflowCaller:
    def __init__(self, inner: Caller, *, namespace: str, clock: Clock) -> None:
        """`namespace` is that of registered agents and workflows."""
        self._inner = inner
        self._namespace = namespace
        self._clock = clock
        self._starts: WorkflowStarts | None = None
        self._canceled: Outbox[tuple[str, str]] = Outbox("canceled runs")

    @asynccontextmanager
    async def running(self, starts: "WorkflowStarts") -> AsyncIterator[None]:
        self._starts = starts

        async def cancel(item: tuple[str, str]) -> None:
            await starts.cancel(*item)

        try:
            async with self._canceled.run(cancel, failed=lambda _: None):
                yield
        finally:
            self._starts = None

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        if not self._is_workflow(turn.callee.namespace, turn.callee.name):
            async with aclosing(self._inner.stream(turn)) as batches:
                async for updates in batches:
                    yield updates
            return
        try:
            if self._starts is None:
                raise NotTakenError("workflows do not run yet, or not any more")
            yield await self._run(self._starts, turn)
        except NotTakenError as error:
            if turn.again:
                raise
            yield [self._failed(f"The workflow was not run: {error}.")]

    async def cancel(self, callee: Callee, remote: str, *, context_id: str, origin: Origin) -> None:
        await self._inner.cancel(callee, remote, context_id=context_id, origin=origin)

    def canceled(self, namespace: str, agent: str, task_id: str, owner: str) -> None:
        """Cancel the run of a task that its client canceled."""
        if self._is_workflow(namespace, agent):
            self._canceled.put((run_id(task_id), owner))

    def _is_workflow(self, namespace: str, name: str) -> bool:
        return namespace == self._namespace and name.startswith(PREFIX)

    async def _run(self, starts: "WorkflowStarts", turn: Turn) -> list[Json]:
        metadata = turn.message.get("metadata") or {}
        depth = metadata.get(starts.depth_key)
        # JSON of Protobuf clients has no integers.
        level = int(depth) if isinstance(depth, int | float) and 0 <= depth < 1000 else 0
        if level > DEPTH:
            return [self._failed(f"{DEPTH} runs have started one another in a row; a workflow may be calling itself")]
        name = turn.callee.name.removeprefix(PREFIX)
        given = _input(turn.message)
        try:
            run, why = await starts.outcome(
                name, given, owner=turn.origin.owner, run_id=run_id(turn.task_id), depth=level
            )
        except LambdaAgentError as error:
            raise NotTakenError(str(error)) from error
        if run is None:
            return [self._failed(why)]
        now = self._clock.now()
        if run.status == "completed":
            parts = [{"data": run.output}]
            done = artifact_update({"artifactId": "output", "name": name, "parts": parts})
            return [done, status_update(TaskState.COMPLETED, now=now)]
        if run.status == "cancelled":
            return [status_update(TaskState.CANCELED, now=now)]
        return [self._failed(why)]

    def _failed(self, text: str) -> Json:
        message = agent_message([{"text": text}], message_id=self._clock.new_id())
        return status_update(TaskState.FAILED, now=self._clock.now(), message=message)


def run_id(task_id: str) -> str:
    return f"run_{task_id.replace('-', '')}"


def _input(message: Json) -> Any:
    """Return the data of a message, or else its text as `{text}`."""
    parts = message.get("parts", [])
    for part in parts:
        if "data" in part:
            return part["data"]
    return {"text": "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))}
