"""Asks a host of a handshake revision, by requests in the stream of its call, what a task waits for.

The host's responses arrive as requests of their own, at any replica: the id of a request names the task, the round and
the question, so nothing else is remembered. What a host can be asked, only its handshake said: one that cannot answer
responds with an error, and its call ends with the question as the result.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from lambdaagent.a2a import Json
from lambdaagent.a2a.operations import Operation
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering
from lambdaagent.gateway.mcp.calls.run import Run
from lambdaagent.mcp import input as asked
from lambdaagent.mcp.envelope import Reply
from lambdaagent.mcp.protocol import FIRST_WITH_FORMS
from lambdaagent.tasks.requests import Requester

_SECONDS = 600.0  # for which a host's user may think
_UNABLE: Json = {"unable": True}


def can_ask(call: McpCall, task: Json) -> bool:
    """Return whether the task waits for answers that the host has not yet failed to give."""
    if call.message.modern or call.message.version < FIRST_WITH_FORMS or not asked.waits(task):
        return False
    return _UNABLE not in asked.given(task).values()


async def ask(call: McpCall, entry: Entry, run: Run, client: Requester) -> AsyncGenerator[Json, None]:
    """Yield the requests, then wait until the task goes on, the host turns out to be unable, or nobody has answered."""
    task = run.task or {}
    for name, request in asked.pending(task).items():
        yield {"jsonrpc": "2.0", "id": f"{asked.state(task)}.{name}", **request}
    engine = call.services.tasks
    await run.follow(engine.subscribe(entry.callee, task["id"], client=client, last_event_id=run.last_event_id))
    with suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            while run.settled and can_ask(call, run.task or {}):
                await run.next()


async def replied(call: McpCall, reply: Reply) -> None:
    """Take a host's response. One that is no response to a request of ours is ignored. Raises McpError."""
    task_id, _, rest = reply.id.partition(".")
    round_, _, name = rest.partition(".")
    entry, record = await answering.counted(call, task_id, Operation.SEND)
    task = record.task
    if not asked.waits(task) or asked.state(task) != f"{task_id}.{round_}" or name not in asked.pending(task):
        return
    if reply.result is None:
        client = await requester(call.request, entry, Operation.SEND)
        await call.services.tasks.note(entry.callee, task_id, asked.noted(task, {name: _UNABLE}), client=client)
        return
    message = await answering.answer(call, entry, task, {name: dict(reply.result)})
    if message is not None:
        await answering.send(call, entry, message)
