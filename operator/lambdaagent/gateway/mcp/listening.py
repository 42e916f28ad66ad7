"""`subscriptions/listen` (2026-07-28): tells a host that lists, resources or tasks have changed, while it reads.

A notification says only that something changed, so many changes are one notification, and a host that reads slowly
costs as much memory as one that is quick. What the caller may not know of tells nothing: what it was told of each agent
is compared with what it would be told now, and a task is told by the rights of that moment.

Hazard: one change wakes every listener. Each waits for a moment of its own, so that they do not hold the loop together.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.operations import Operation
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Changes, Entry, Key
from lambdaagent.gateway.http import sse
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.mcp import tools
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering
from lambdaagent.gateway.mcp.tasks import detailed
from lambdaagent.mcp import capabilities
from lambdaagent.mcp.protocol import Code, McpError

_MOST_TASKS = 64
_MOST_RESOURCES = 64
_URI = 2_048
_CALM = 1.0  # seconds between two looks at changed agents: an apply of many is one notification
_TURN = 10  # agents
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_TASKS, _AGENTS, _AGENT = "lambdaagent://tasks/", "lambdaagent://agents", "lambdaagent://agents/"


async def listen(call: McpCall) -> web.StreamResponse:
    if not call.accepts_events:
        raise McpError(Code.INVALID_REQUEST, "The header Accept must have text/event-stream.")
    listener = _Listener(call, _wanted(call))
    await listener.find_tasks()
    owner = call.request[PRINCIPAL].name
    return await sse.write(
        call.request,
        listener.frames(),
        owner=owner,
        broken=lambda error: sse.frame(orjson.dumps(call.failure(_told(error)))),
        allowed=authorization.known(call.request),
        farewell=sse.frame(orjson.dumps(call.response({"_meta": listener.meta}))),
    )


def _wanted(call: McpCall) -> Json:
    """Return what of the host's wishes the gateway grants. Raises McpError."""
    asked = call.message.params.get("notifications")
    if not isinstance(asked, dict):
        raise McpError(Code.INVALID_PARAMS, "params.notifications must be an object.")
    found: Json = {name: True for name in ("toolsListChanged", "resourcesListChanged") if asked.get(name) is True}
    if uris := _texts(asked.get("resourceSubscriptions"), "resourceSubscriptions", _MOST_RESOURCES):
        found["resourceSubscriptions"] = [uri for uri in uris if uri.startswith((_TASKS, _AGENTS))]
    if ids := _texts(asked.get("taskIds"), "taskIds", _MOST_TASKS):
        capabilities.require_tasks(call.message.capabilities, "A subscription to tasks")
        found["taskIds"] = ids
    return found


def _texts(value: Any, name: str, most: int) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most or not all(isinstance(each, str) for each in value):
        raise McpError(Code.INVALID_PARAMS, f"params.notifications.{name} must be a list of at most {most} texts.")
    if any(len(each) > _URI for each in value):
        raise McpError(Code.INVALID_PARAMS, f"params.notifications.{name} has a text of over {_URI} characters.")
    return list(dict.fromkeys(value))


class _Listener:
    def __init__(self, call: McpCall, granted: Json) -> None:
        self._call = call
        self._granted = granted
        self._uris = frozenset(granted.get("resourceSubscriptions", ()))
        self._followed: dict[str, Entry] = {}
        self._told: dict[Key, int] = {}
        self._due: dict[tuple[str, str], bytes] = {}  # the newest notification of each thing
        self._some = asyncio.Event()
        self.meta: Json = {_SUBSCRIPTION: call.message.id}

    async def find_tasks(self) -> None:
        """Find the tasks. One that is not there, or another's, is left out of what is acknowledged."""
        ids = [*self._granted.get("taskIds", ()), *(uri[len(_TASKS) :] for uri in self._uris if uri.startswith(_TASKS))]
        for task_id in ids:
            try:
                self._followed[task_id] = (await answering.task_of(self._call, task_id, Operation.SUBSCRIBE))[0]
            except McpError:
                continue
        if "taskIds" in self._granted:
            self._granted["taskIds"] = [each for each in self._granted["taskIds"] if each in self._followed]

    async def frames(self) -> AsyncGenerator[bytes, None]:
        with self._watching() as changes:
            if changes is not None:
                number = 0
                async for entry in self._call.agents():
                    self._told[entry.key] = tools.digest(self._call, entry)
                    number += 1
                    if number % _TURN == 0:
                        await asyncio.sleep(0)
            params = {"notifications": self._granted, "_meta": self.meta}
            yield self._frame("notifications/subscriptions/acknowledged", params)
            feeds = [
                asyncio.create_task(self._follow(task_id, entry), name="mcp-listen-task")
                for task_id, entry in self._followed.items()
            ]
            if changes is not None:
                feeds.append(asyncio.create_task(self._look(changes), name="mcp-listen-agents"))
            for feed in feeds:
                feed.add_done_callback(lambda _: self._some.set())
            try:
                while True:
                    await self._some.wait()
                    self._some.clear()
                    for feed in feeds:
                        if feed.done():
                            feed.result()  # one that is broken ends the subscription, so that the host begins anew
                    due, self._due = self._due, {}
                    for each in due.values():
                        yield each
            finally:
                await cancel(*feeds)

    @contextmanager
    def _watching(self) -> Iterator[Changes | None]:
        lists = self._granted.keys() & {"toolsListChanged", "resourcesListChanged"}
        if not lists and not any(uri.startswith(_AGENTS) for uri in self._uris):
            yield None
            return
        with self._call.services.directory.watch() as changes:
            yield changes

    async def _look(self, changes: Changes) -> None:
        while True:
            keys = await changes.next()
            await asyncio.sleep(random.uniform(0, _CALM))  # noqa: S311 (nothing is kept secret by it)
            changed = []
            for number, key in enumerate(keys, 1):
                try:
                    if await self._has_changed(key):
                        changed.append(key)
                except LambdaAgentError:  # whether the caller may know of it cannot be found out now
                    changes.add(key)
                if number % _TURN == 0:
                    await asyncio.sleep(0)
            if changed:
                self._tell_lists()
                for key in changed:
                    self._tell_updated(f"{_AGENT}{key[0]}/{key[1]}/card")
            await asyncio.sleep(_CALM)

    async def _has_changed(self, key: Key) -> bool:
        entry = self._call.services.directory.find(*key)
        shown = entry is not None and self._call.shows(entry) and await authorization.lists(self._call.request, entry)
        digest = tools.digest(self._call, entry) if shown and entry is not None else None
        before = self._told.pop(key, None)
        if digest is not None:
            self._told[key] = digest
        return digest != before

    def _tell_lists(self) -> None:
        if "toolsListChanged" in self._granted:
            self._tell("notifications/tools/list_changed", {})
        if "resourcesListChanged" in self._granted:
            self._tell("notifications/resources/list_changed", {})
        self._tell_updated(_AGENTS)

    def _tell_updated(self, uri: str) -> None:
        if uri in self._uris:
            self._tell("notifications/resources/updated", {"uri": uri}, about=uri)

    def _tell(self, method: str, params: Json, *, about: str = "") -> None:
        self._due.pop((method, about), None)
        self._due[method, about] = self._frame(method, {**params, "_meta": self.meta})
        self._some.set()

    def _frame(self, method: str, params: Json) -> bytes:
        return sse.frame(orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    async def _follow(self, task_id: str, entry: Entry) -> None:
        """Tell each new status of a task until it has ended, or is the caller's no more."""
        engine, told = self._call.services.tasks, None
        try:
            client = await requester(self._call.request, entry, Operation.SUBSCRIBE)
            async for event in engine.subscribe(entry.callee, task_id, client=client):
                if "artifactUpdate" not in event.event:
                    told = await self._tell_task(task_id, told)
        except (A2AError, LambdaAgentError):  # it has ended already, or is gone
            with suppress(McpError, ProblemError, LambdaAgentError):
                await self._tell_task(task_id, told)
        except (McpError, ProblemError):
            pass  # the caller may not read it any more

    async def _tell_task(self, task_id: str, told: str | None) -> str:
        """Raises McpError, ProblemError or TemporaryError if the caller may not read the task now."""
        entry, record = await answering.task_of(self._now(), task_id, Operation.SUBSCRIBE)
        found = await detailed(self._call, entry, record)
        status: str = found["status"]
        if status != told:
            if task_id in self._granted.get("taskIds", ()):
                self._tell("notifications/tasks", found, about=task_id)
            self._tell_updated(_TASKS + task_id)
        return status

    def _now(self) -> McpCall:
        """Return the call with its agent as it is now, if it is at the endpoint of one. Raises McpError."""
        if self._call.entry is None:
            return self._call
        entry = self._call.services.directory.find(*self._call.entry.key)
        if entry is None:
            raise McpError(Code.INVALID_PARAMS, "There is no such agent.")
        return replace(self._call, entry=entry)


def _told(error: Exception) -> McpError:
    if isinstance(error, sse.RevokedError):
        return McpError(Code.FORBIDDEN, f"The subscription ends: {error}.")
    if isinstance(error, LambdaAgentError):
        return McpError(Code.INTERNAL_ERROR, f"The subscription ends: {error}.")
    raise error
