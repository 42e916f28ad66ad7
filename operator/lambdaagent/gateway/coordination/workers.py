"""The agents that do jobs: who can, and how each gets its attempt.

Who can be called over A2A gets the input as a task of the job's creator, whose result is the job's. The others get a
request as a message, and their answer is the result. The creator's rights are checked anew whenever an attempt begins,
because it may have lost them since.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.containers.turn import Origin
from lambdaagent.coordination import agent_message
from lambdaagent.coordination.deliveries import Addressed
from lambdaagent.coordination.job import ATTEMPT, JOB, Candidate, Definition, Job
from lambdaagent.coordination.message import Message, derived_id
from lambdaagent.coordination.refusals import OtherMessageError, QueueFullError
from lambdaagent.errors import LambdaAgentError, PermanentError, TemporaryError
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.coordination import agents, rights
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.coordination.carriers import via_of
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.schema_checks import SchemaChecks
from lambdaagent.json_schema.checker import Checker
from lambdaagent.messaging.messages import Messages
from lambdaagent.registry.registry import Registry
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.requests import PRIORITY, Requester

_CAPACITY = 100  # jobs at once of an agent that states no limit


@dataclass(kw_only=True)
class AgentWorkers:
    directory: Directory
    namespace: str  # of registered agents
    guard: Guard
    tasks: Engine
    messages: Messages
    registry: Registry
    definition: Callable[[str], Awaitable[Definition | None]]
    checks: SchemaChecks = field(default_factory=SchemaChecks)

    async def candidates(self, job: Job) -> Sequence[Candidate]:
        found: list[Candidate] = []
        if job.agent_id:
            entry = self._entry(job.agent_id)
            entries = [entry] if entry is not None else []
        else:
            entries = [each async for each in self.directory.each() if self._can(each, job)]
        for entry in entries:
            if agents.status_of(entry) == "active" and await self._may(job, entry):
                found.append(self._candidate(entry))
        return found

    def inactive(self, agent_ids: Sequence[str]) -> list[str]:
        """An agent of the cluster that sleeps or restarts does its jobs all the same; one that is gone does not."""
        gone = []
        for agent_id in agent_ids:
            entry = self._entry(agent_id)
            if entry is None or (entry.registered is not None and entry.registered.status != "active"):
                gone.append(agent_id)
        return gone

    async def perform(self, job: Job, agent_id: str, begun: Callable[[str], Awaitable[None]]) -> Json:
        entry = self._entry(agent_id)
        if entry is None:
            raise TemporaryError("it is not there any more")
        if not await self._may(job, entry):
            raise PermanentError(f"{job.created_by} may not call it any more")
        async with asyncio.timeout(job.timeout_seconds):
            if via_of(entry) in ("event", "call"):
                output = await self._call(job, entry, begun)
            else:
                output = await self._ask(job, entry)
        if wrong := await self.unfit(job, output):
            raise TemporaryError(wrong)
        return output

    async def abandon(self, job: Job) -> None:
        entry = self._entry(job.assigned_agent_id or "")
        if entry is None or not job.a2a_task_id:
            return
        with suppress(A2AError, LambdaAgentError):
            client = Requester(origin=Origin(owner=job.created_by))
            await self.tasks.cancel(entry.callee, job.a2a_task_id, client=client)

    async def _call(self, job: Job, entry: Entry, begun: Callable[[str], Awaitable[None]]) -> Json:
        """Send the input as a task. A replica that goes on with the attempt finds the task by its key."""
        sent: Json = {
            "messageId": f"{job.job_id}.{job.attempt}",
            "role": str(Role.USER),
            "parts": [{"data": job.input_data}],
            "metadata": {PRIORITY: job.priority, **self._skill(job, entry)},
        }
        client = Requester(
            origin=Origin(owner=job.created_by), idempotency_key=f"job {job.job_id} attempt {job.attempt}"
        )
        at_once = params.send({"message": sent, "configuration": {"returnImmediately": True}})
        try:
            task = await self.tasks.send(entry.callee, at_once, client=client)
            await begun(task["id"])
            try:
                task = await self.tasks.send(entry.callee, params.send({"message": sent}), client=client)
            except TimeoutError:
                with suppress(A2AError, LambdaAgentError):
                    await self.tasks.cancel(entry.callee, task["id"], client=client)
                raise
        except A2AError as error:
            raise PermanentError(str(error)) from None
        result = agent_message.result(task)
        match state_of(task):
            case TaskState.COMPLETED:
                return result
            case TaskState.INPUT_REQUIRED | TaskState.AUTH_REQUIRED:
                raise PermanentError(f"it asks for more input, which a job cannot give: {str(result)[:500]}")
            case TaskState.REJECTED:
                raise PermanentError(f"it refused the job: {str(result)[:500]}")
            case state:
                raise TemporaryError(f"its task is {state.v03}: {str(result)[:500]}")

    async def _ask(self, job: Job, entry: Entry) -> Json:
        message = Message(
            id=derived_id("job", job.job_id, str(job.attempt)),
            sender=job.created_by,
            to=(entry.agent_id,),
            kind="request",
            content={"type": "query", "data": {"task_type": job.task_type, "input_data": job.input_data}},
            session=job.job_id,
            priority=job.priority,
            ttl=job.timeout_seconds,
            metadata={JOB: job.job_id, ATTEMPT: job.attempt},
        )
        try:
            to = [Addressed(entry.agent_id, via_of(entry))]
            await self.messages.send(message, to, by=job.created_by)
        except (OtherMessageError, QueueFullError) as error:
            raise TemporaryError(f"the job cannot be given to it: {type(error).__name__} {error}") from None
        # `Jobs.answered` ends the job, at whichever replica the answer arrives, and with it this attempt.
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def unfit(self, job: Job, output: Json) -> str:
        definition = await self.definition(job.task_id) if job.task_id else None
        if definition is None or not definition.output_schema:
            return ""
        wrong = await self.checks.violations(Checker(definition.output_schema), output, name="output")
        return f"the result does not fit the task's output_schema: {'; '.join(wrong)[:500]}" if wrong else ""

    def _entry(self, agent_id: str) -> Entry | None:
        return entry_of(self.directory, agent_id, registry=self.namespace)

    def _can(self, entry: Entry, job: Job) -> bool:
        if not entry.enabled:
            return False
        can = agents.capabilities_of(entry)
        if job.required_capabilities:
            return can >= frozenset(job.required_capabilities)
        return job.task_type in can

    async def _may(self, job: Job, entry: Entry) -> bool:
        skill = self._skill(job, entry).get("skillId")
        listed = not job.agent_id
        return await rights.may_invoke(self.guard, job.created_by, job.principal, entry, skill, listed=listed)

    def _skill(self, job: Job, entry: Entry) -> dict[str, str]:
        """Return the skill that the job names: by its metadata, by its type, or by a capability that it needs."""
        wanted = [job.metadata.get("skill_id"), job.task_type, *job.required_capabilities]
        known = entry.callee.skills
        return next(({"skillId": each} for each in wanted if isinstance(each, str) and each in known), {})

    def _candidate(self, entry: Entry) -> Candidate:
        registered = entry.registered
        if registered is not None:
            known = self.registry.known(registered.agent_id)
            return Candidate(entry.agent_id, free=1.0 - (known or registered).load, capacity=_CAPACITY)
        target = entry.callee.target
        limit = target.connections if target is not None else None
        return Candidate(entry.agent_id, capacity=limit or _CAPACITY)
