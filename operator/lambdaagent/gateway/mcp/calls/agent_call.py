"""One call of an agent by a host: a message, so it has a task, which belongs to the caller like any other.

The response is JSON if the task settles soon. If not, a host that knows the Tasks extension gets the task, and any
other one that accepts events a stream with progress and pings. Since the revision 2026-07-28, a host that closes the
connection of its call cancels it; before, it does not.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.params import Find
from lambdaagent.a2a.protojson import is_identifier
from lambdaagent.a2a.states import TaskState
from lambdaagent.cancellation import cancel
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import sse
from lambdaagent.gateway.http.sse import TooManyStreamsError
from lambdaagent.gateway.mcp import tasks
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering, outcomes, questions
from lambdaagent.gateway.mcp.calls.run import Run
from lambdaagent.mcp import capabilities, results
from lambdaagent.mcp import input as asked
from lambdaagent.mcp import tasks as task_views
from lambdaagent.mcp.extension import CAPABILITIES, INPUT_RESPONSES
from lambdaagent.mcp.notifications import Interest
from lambdaagent.mcp.protocol import Code, McpError
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.requests import Requester

PATIENCE = 0.3  # seconds for which a call is a plain request: a quick tool needs neither a stream nor a poll
_CANCEL_SECONDS = 10.0
Make = Callable[[], Awaitable[Json]]
"""Makes the message of a call, once the caller is known to have the right to send one."""


async def run(call: McpCall, entry: Entry, skill: str | None, make: Make) -> Json | web.StreamResponse:
    """Call the agent, or go on with a task that asked: the host gives its state back with its answers.

    Raises McpError. What goes wrong at the agent is a result that says so.
    """
    try:
        return await _AgentCall(call, entry, skill).run(make)
    except A2AError as error:
        if error.problem is Problem.PERMISSION_DENIED:
            raise McpError(Code.FORBIDDEN, str(error)) from None
        return results.failure(str(error))
    except TemporaryError as error:
        return results.failure(f"The agent {entry.agent.key} cannot be called now: {error}.")


async def again(call: McpCall) -> Json | web.StreamResponse:
    """Go on with a task that asked, whichever agent has it. Raises McpError."""
    entry, record = await _named(call, call.message.params.get("requestState"))
    limiting.require_agent(call.services, entry, call.request[PRINCIPAL])

    async def make() -> Json:
        raise asked.not_issued()

    return await run(call, entry, record.skill, make)


async def _named(call: McpCall, state: object) -> tuple[Entry, TaskRecord]:
    """Return the task that a host's state names, and its agent. Raises McpError."""
    if not isinstance(state, str):
        raise asked.not_issued()
    try:
        return await answering.task_of(call, asked.task_of(state), Operation.SEND)
    except McpError as error:
        raise asked.not_issued() if error.code is Code.INVALID_PARAMS else error from None


class _AgentCall:
    def __init__(self, call: McpCall, entry: Entry, skill: str | None) -> None:
        self._call = call
        self._entry = entry
        self._skill = skill
        self._interest = Interest.of(call.message.params, modern=call.message.modern)
        self._tasks = capabilities.has_tasks(call.message.capabilities)
        self._events = call.accepts_events and not self._tasks

    async def run(self, make: Make) -> Json | web.StreamResponse:
        call, entry = self._call, self._entry
        await authorization.require_operation(call.request, entry, Operation.SEND)
        client = await requester(call.request, entry, Operation.SEND)
        if client.admit is not None:  # before the arguments: what is wrong with them tells of the schema
            client.admit(self._skill)
        given = call.message.params
        message = (
            await self._next(given["requestState"]) if "requestState" in given else await self._first(make, client)
        )
        if isinstance(message, str):
            waiting = await call.services.tasks.read(entry.callee, message, client=client)
            if waiting.state.settled:
                return await self._outcome(waiting.task)
            run = Run(call.services.tasks.subscribe(entry.callee, message, client=client))
        else:
            if not entry.ready:
                return results.failure(f"The agent {entry.agent.key} cannot be called: {entry.why_not}.")
            run = Run()
        try:
            if isinstance(message, str):
                return await self._followed(run, client, await self._awaited(run))
            return await self._followed(run, client, await self._sent(run, message, client))
        except TooManyStreamsError:  # the host is told to call again, so this call does not go on
            await self._canceled(run, client)
            raise
        except (asyncio.CancelledError, ConnectionError):
            if self._call.message.modern:
                await self._canceled(run, client)
            raise
        finally:
            await run.close()

    async def _first(self, make: Make, client: Requester) -> Json:
        message, given = await make(), self._call.message.params
        metadata = {**message.get("metadata", {}), CAPABILITIES: self._call.askable}
        if "inputResponses" in given:
            metadata[INPUT_RESPONSES] = asked.answers(given["inputResponses"])
        message = {**message, "metadata": metadata}
        waiting = await self._waiting(message, client)
        return message if waiting is None else {**message, "taskId": waiting}

    async def _waiting(self, message: Json, client: Requester) -> str | None:
        """Return the task of the message's conversation that waits for words: a host without forms answers it by a
        further call.
        """
        context_id = message.get("contextId")
        if not is_identifier(context_id):
            return None  # there is none, or the engine refuses it
        found = Find(context_id=context_id, state=TaskState.INPUT_REQUIRED, page_size=1)
        mine = replace(client, all_tasks=False)
        page = await self._call.services.tasks.find(self._entry.callee, found, client=mine)
        return next((str(task["id"]) for task in page.tasks if asked.is_plain(task)), None)

    async def _next(self, state: object) -> Json | str:
        """Return the message of the host's answers, or the id of the task if there is none to send."""
        entry, record = await _named(self._call, state)
        if entry.key != self._entry.key or record.skill != self._skill:
            raise asked.not_issued()
        answers = asked.answers(self._call.message.params.get("inputResponses", {}))
        if asked.waits(record.task) and asked.state(record.task) == state:
            return await answering.answer(self._call, entry, record.task, answers) or record.id
        if not asked.is_former(record.task, str(state)):
            raise asked.not_issued()
        return record.id

    async def _sent(self, run: Run, message: Json, client: Requester) -> list[Json]:
        """Send the message, and return what the host is to be told of its first moments."""
        engine, callee = self._call.services.tasks, self._entry.callee
        request = replace(params.send({"message": message}, streamed=True), as_task=True)
        sending = asyncio.create_task(
            engine.send_within(callee, request, PATIENCE, begun=run.began, client=client), name="mcp-send"
        )
        try:
            record, events = await asyncio.shield(sending)
        except asyncio.CancelledError:
            await self._stored(run, sending)
            raise
        version = str(record.version)
        run.go_on(record.task, version, engine.subscribe(callee, record.id, client=client, last_event_id=version))
        if not self._events:
            return []
        return [each for event in events for each in self._interest.notifications(event.event)]

    async def _stored(self, run: Run, sending: "asyncio.Task[Any]") -> None:
        """Wait until the task of a host that is gone is stored, because what is not known cannot be canceled: a message
        whose storing is interrupted may be worked on later.
        """
        known = asyncio.create_task(run.known.wait(), name="mcp-known")
        if self._call.message.modern and not self._stopping:
            await asyncio.wait([sending, known], timeout=_CANCEL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await cancel(sending, known)
        if not sending.cancelled():
            sending.exception()  # nobody is left to be told of it

    async def _awaited(self, run: Run) -> list[Json]:
        """Wait for a moment for a task that goes on, and return what the host is to be told of it."""
        await run.begin()
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        news: list[Json] = []
        while not run.settled and not news:
            event = await run.next(within=max(0.0, until - loop.time()))
            if event is None:
                break
            if self._events:
                news = self._interest.notifications(event)
        return news

    async def _followed(self, run: Run, client: Requester, news: list[Json]) -> Json | web.StreamResponse:
        """Answer the host; `news` is what it is to be told before anything else."""
        if run.settled and not news and not self._asks(run):
            return await self._outcome(run.task or {})
        if self._tasks and run.task is not None:
            record = await self._call.services.tasks.read(self._entry.callee, run.task["id"], client=client)
            return task_views.created(run.task, tasks.times(self._call, record))
        if self._events:
            return await self._streamed(run, client, news)
        while not run.settled:
            await run.next()
        return await self._outcome(run.task or {})

    async def _streamed(self, run: Run, client: Requester, news: list[Json]) -> web.StreamResponse:
        def broken(error: Exception) -> bytes:
            return _frame(self._call.failure(_told(error)))

        async def frames() -> AsyncGenerator[bytes, None]:
            yield sse.NOTHING if not news else b"".join(_frame(each) for each in news)
            while not (run.settled and not self._asks(run)):
                if run.settled and run.task is not None:
                    async for request in questions.ask(self._call, self._entry, run, client):
                        yield _frame(request)
                    if run.settled:
                        break
                event = await run.next()
                for each in self._interest.notifications(event) if event is not None else ():
                    yield _frame(each)
            yield _frame(self._call.response(await self._outcome(run.task or {})))

        allowed = authorization.standing(self._call.request, self._entry, Operation.SEND)
        return await sse.write(self._call.request, frames(), owner=client.owner, broken=broken, allowed=allowed)

    def _asks(self, run: Run) -> bool:
        """Return whether the host is asked by a request of ours, as in the handshake revisions."""
        return self._events and run.task is not None and questions.can_ask(self._call, run.task)

    async def _outcome(self, task: Json) -> Json:
        """Return the result of a settled task. Raises McpError."""
        if (error := task_views.error_of(task)) is not None:
            raise error
        if not asked.waits(task):
            return await outcomes.of_task(self._call, self._entry, self._skill, task)
        if not self._call.message.modern:
            return results.of_question(task)
        pending = asked.pending(task)
        if asked.is_plain(task):
            if not all(capabilities.can_answer(each, self._call.message.capabilities) for each in pending.values()):
                return results.of_question(task)
        else:
            capabilities.require_answers(pending, self._call.message.capabilities)
        return {"resultType": "input_required", "inputRequests": pending, "requestState": asked.state(task)}

    async def _canceled(self, run: Run, client: Requester) -> None:
        """Cancel the task of a host that gets no answer, unless it is this gateway that goes."""
        if run.task is None or run.settled or self._stopping:
            return
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self._call.services.tasks.cancel(self._entry.callee, run.task["id"], client=client)
        except (A2AError, TemporaryError, TimeoutError):
            pass  # it has ended, or its deadline ends it

    @property
    def _stopping(self) -> bool:
        return self._call.request.app[sse.STREAMS].stopping


def _frame(message: Json) -> bytes:
    return sse.frame(orjson.dumps(message))


def _told(error: Exception) -> McpError:
    if isinstance(error, McpError):
        return error
    if isinstance(error, sse.RevokedError):
        return McpError(Code.FORBIDDEN, f"The stream ends: {error}.")
    if isinstance(error, A2AError | TemporaryError):
        return McpError(Code.INTERNAL_ERROR, str(error))
    raise error
