"""One call to a container for a task: request, answer, and what it does to the task."""

from dataclasses import dataclass
from typing import Protocol

from lambdaagent.a2a import Json
from lambdaagent.agents import answers, invoke
from lambdaagent.agents.callee import Callee
from lambdaagent.agents.client import Client
from lambdaagent.agents.clock import Clock
from lambdaagent.agents.errors import BadTargetError, UpstreamError
from lambdaagent.api.a2a import Skill


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to one container."""

    callee: Callee
    skill: Skill | None
    message: Json
    task_id: str
    context_id: str
    timeout: float
    traceparent: str | None = None


class Caller(Protocol):
    async def call(self, turn: Turn) -> list[Json]: ...


class HttpCaller:
    """Never raises for what the container does: a failure is an update that says why."""

    def __init__(self, *, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def call(self, turn: Turn) -> list[Json]:
        if turn.callee.target is None:
            return [answers.failed("The agent has no address: it is not ready.", clock=self._clock)]
        call = invoke.for_message(
            turn.callee,
            skill=turn.skill,
            message=turn.message,
            task_id=turn.task_id,
            context_id=turn.context_id,
            event_id=self._clock.new_mark(),
            traceparent=turn.traceparent,
        )
        try:
            response = await self._client.request(
                turn.callee.target,
                path=call.path,
                headers=call.headers,
                fixed=call.fixed,
                body=call.body,
                first_byte=turn.timeout,
                total=turn.timeout,
            )
            async with response:
                body = await response.read(limit=self._client.limits.body_bytes)
        except (UpstreamError, BadTargetError) as error:
            return [answers.failed(f"The agent could not be called: {error}", clock=self._clock)]
        reply_type = turn.skill.invoke.reply_type if turn.skill is not None and turn.skill.invoke is not None else None
        headers = {name.lower(): value for name, value in response.headers}
        return answers.interpret(
            status=response.status, headers=headers, body=body, clock=self._clock, reply_type=reply_type
        )
