"""What runs of workflows do through this gateway: call agents and servers, and emit events.

An agent is called as the run's creator, whose rights are checked anew with each call, because it may have lost them
since. Only agents of the directory are called: whoever is elsewhere is registered first, or named by `spec.external`.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from lambdaagent import media_types
from lambdaagent.a2a import Json, params, v03
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.api.base import GROUP
from lambdaagent.containers.turn import Origin
from lambdaagent.coordination import agent_message
from lambdaagent.coordination.refusals import LoopError, OtherMessageError, QueueFullError
from lambdaagent.coordination.workflow import Run
from lambdaagent.coordination.workflow_errors import fault
from lambdaagent.coordination.workflow_event import message_of
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.coordination import rights
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.coordination.http_calls import HttpCalls
from lambdaagent.gateway.coordination.topic_receivers import TopicReceivers
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.services import EventPublisher, Exchanges
from lambdaagent.mcp import results
from lambdaagent.messaging.messages import Messages
from lambdaagent.store.errors import StoreError
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.errors import EngineStoppedError
from lambdaagent.tasks.requests import Requester

DEPTH = f"{GROUP}/workflow-depth"
"""In a message's metadata: how many runs in a row led to it."""


@dataclass(kw_only=True)
class WorkflowHost:
    directory: Directory
    namespace: str  # of registered agents and workflows
    guard: Guard
    tasks: Engine
    messages: Messages
    receivers: TopicReceivers
    http: HttpCalls
    publisher: EventPublisher
    exchanges: Exchanges
    _begun: dict[tuple[str, str], tuple[Entry, str]] = field(default_factory=dict, init=False)

    async def call(self, run: Run, kind: str, given: Json, value: Any, key: str) -> Any:
        if kind == "http":
            return await self.http.call(given, value, key=f"{run.run_id}{key}")
        if kind == "mcp":
            return await self._tool(run, given, key)
        entry = await self._agent(run, given.get("agentCard", given.get("server")))
        task = await self._task(run, entry, _message(given["parameters"]), key)
        return {name: each for name, each in task.items() if name != "history"}

    async def abandon(self, run: Run, key: str) -> None:
        begun = self._begun.pop((run.run_id, key), None)
        if begun is not None:
            with suppress(A2AError, LambdaAgentError):
                client = Requester(origin=Origin(owner=run.created_by))
                await self.tasks.cancel(begun[0].callee, begun[1], client=client)

    async def emit(self, run: Run, event: Json) -> None:
        """Publish to the Broker of the registry's namespace, if the creator may, and send to the subscribers."""
        if await rights.may_publish(self.guard, run.created_by, run.principal, self.namespace):
            await self._publish(event)
        message = message_of(run, event)
        to = await self.receivers.of(message, name=run.created_by, stored=run.principal)
        try:
            await self.messages.send(message, to, by=run.created_by)
        except (OtherMessageError, LoopError, QueueFullError) as error:
            raise fault("communication", f"the event cannot be sent: {type(error).__name__} {error}") from None

    async def _publish(self, event: Json) -> None:
        try:
            exchange = self.exchanges.shared(self.namespace)
        except LambdaAgentError:
            return  # the namespace has no Broker
        made = Event(
            id=event["id"],
            source=event["source"],
            type=event["type"],
            subject=event.get("subject"),
            time=event["time"],
            dataschema=event.get("dataschema"),
            datacontenttype=media_types.JSON,
            data=orjson.dumps(event["data"]),
        )
        try:
            await self.publisher.publish(made, exchange=exchange)
        except LambdaAgentError as error:
            raise fault("communication", f"the event cannot be published: {error}", status=503) from None

    async def _tool(self, run: Run, given: Json, key: str) -> Any:
        entry, wanted = await self._agent(run, given["transport"]["http"]["endpoint"]), given["parameters"]
        name, arguments = wanted["name"], wanted.get("arguments") or {}
        if name not in entry.callee.skills:
            raise fault("configuration", f"the agent {entry.agent_id} has no tool {str(name)[:64]!r}", status=404)
        message = {"parts": [{"data": arguments}], "metadata": {"skillId": name}}
        found = results.of_task(await self._task(run, entry, message, key), any_data=True)
        return {name: found[name] for name in ("content", "structuredContent") if name in found}

    async def _task(self, run: Run, entry: Entry, message: Json, key: str) -> Json:
        """Return the completed task. A run that is resumed finds the task that it began, by its key."""
        skill = message.get("metadata", {}).get("skillId")
        if not await rights.may_invoke(self.guard, run.created_by, run.principal, entry, skill):
            about = f"the skill {skill} of " if skill else ""
            raise fault("authorization", f"{run.created_by} may not call {about}the agent {entry.agent_id}")
        metadata = {**message.get("metadata", {}), DEPTH: run.depth + 1}
        sent = {"messageId": f"{run.run_id}{key}"[-255:], "role": str(Role.USER)} | message | {"metadata": metadata}
        client = Requester(origin=Origin(owner=run.created_by), idempotency_key=f"run {run.run_id} step {key}")
        at_once = {"message": sent, "configuration": {"returnImmediately": True}}
        try:
            task = await self.tasks.send(entry.callee, params.send(at_once), client=client)
            self._begun[run.run_id, key] = (entry, task["id"])
            task = await self.tasks.send(entry.callee, params.send({"message": sent}), client=client)
        except asyncio.CancelledError:
            raise  # `abandon` follows, or another replica goes on with the run
        except BaseException as error:
            self._begun.pop((run.run_id, key), None)
            if isinstance(error, EngineStoppedError | StoreError):
                raise  # no outcome of the call: another replica goes on with the run
            if isinstance(error, A2AError | LambdaAgentError):
                status = 400 if isinstance(error, A2AError) else 503
                raise fault("communication", f"{entry.agent_id}: {error}", status=status) from None
            raise
        self._begun.pop((run.run_id, key), None)
        state = state_of(task)
        if state is not TaskState.COMPLETED:
            result = agent_message.result(task)
            why = result.get("error", result)
            said = why["text"] if why.keys() == {"text"} else orjson.dumps(why).decode()[:1000]
            raise fault("communication", f"{entry.agent_id}: its task is {state.v03}: {said}")
        return task

    async def _agent(self, run: Run, given: Any) -> Entry:
        """Return the agent of an id, or of the URL under which it is registered."""
        while isinstance(given, dict):
            given = given.get("endpoint", given.get("uri"))
        named = given if isinstance(given, str) else ""
        if "://" in named:
            entry = await self._by_url(run, named)
        else:
            entry = entry_of(self.directory, named, registry=self.namespace)
        if entry is None or not entry.enabled:
            self.directory.require_listed()
            detail = (
                f"there is no agent {named[:200]!r}: name it by its id, such as namespace/name; an agent elsewhere is "
                "registered first (POST /a2a/register), or described by a LambdaAgent with spec.external"
            )
            raise fault("configuration", detail, status=404, title="Unknown agent")
        return entry

    async def _by_url(self, run: Run, url: str) -> Entry | None:
        """Return the agent of this URL: of several the first that the run's creator may call, for anybody may register
        an agent under the URL of another.
        """
        first: Entry | None = None
        for entry in [each for each in self.directory.after(None) if _is_at(each, url)]:
            if await rights.may_invoke(self.guard, run.created_by, run.principal, entry, None):
                return entry
            first = first or entry
        return first


def _is_at(entry: Entry, url: str) -> bool:
    if entry.registered is not None:
        return entry.registered.endpoint_url == url
    return entry.callee.external is not None and entry.callee.external.url == url


def _message(parameters: Json) -> Json:
    """Return the message in the 1.0 form, in which the metadata is an object."""
    message = parameters.get("message")
    if not isinstance(message, dict):
        raise fault("configuration", "a call of A2A needs parameters.message")
    parts = message.get("parts")
    if isinstance(parts, list) and any(isinstance(each, dict) and "kind" in each for each in parts):
        try:
            message = {**message, "parts": [v03.upgrade_part(each, at="message.parts") for each in parts]}
        except A2AError as error:
            raise fault("configuration", str(error)) from None
    found = {name: each for name, each in message.items() if name != "kind"}
    if not isinstance(found.setdefault("metadata", {}), dict):
        raise fault("configuration", "the metadata of a message must be an object")
    return found
