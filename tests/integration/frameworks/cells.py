"""The scenarios of every framework, run at its server and through the gateway. Each returns its result."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from tests.integration.frameworks import comparing
from tests.integration.frameworks.speaking import Client, RefusedError

Json = dict[str, Any]
Cell = Callable[[Client], Awaitable[Any]]
_FILE = {"bytes": "YSxiCjEsMgo=", "name": "n.csv", "mimeType": "text/csv"}
_SECONDS = 25.0


async def answered(client: Client, text: str, **more: Any) -> Any:
    """Sends a message and waits for the end of its task, which a server may return before."""
    try:
        result = await client.call("send", client.params(client.message(text, **more)))
        return await ended(client, result)
    except RefusedError as refused:
        return {"refused": refused.code, "words": refused.words}


async def ended(client: Client, result: Any) -> Any:
    async with asyncio.timeout(_SECONDS):
        while (found := comparing.whole(result)).get("state", "completed") not in comparing.SETTLED:
            await asyncio.sleep(0.05)
            result = await client.call("get", {"id": comparing.task_id(result)})
    return {**found, "id": comparing.task_id(result)}


def _without_id(said: Json) -> Json:
    return {key: each for key, each in said.items() if key != "id"}


async def send(client: Client) -> Any:
    return _without_id(await answered(client, "hello there"))


async def stream(client: Client) -> Any:
    said: list[Json] = []
    try:
        async for result in client.stream(client.params(client.message("hello there"))):
            said += comparing.events(result)
    except RefusedError as refused:
        said.append({"refused": refused.code, "words": refused.words})
    return said


async def context(client: Client) -> Any:
    """Sends two messages in one context; the response shows whether the second knows of the first."""
    one = str(uuid.uuid4())
    await answered(client, "blue", contextId=one)
    return _without_id(await answered(client, "remember", contextId=one))


async def asking(client: Client) -> Any:
    """Sends a message to which the agent asks back, and the answer in the same task."""
    one = str(uuid.uuid4())
    asked = await answered(client, "ask", contextId=one)
    if asked.get("state") != "input-required":
        return [_without_id(asked)]
    done = await answered(client, "the blue one", contextId=one, taskId=asked["id"])
    return [_without_id(asked), _without_id(done), {"same": done.get("id", asked["id"]) == asked["id"]}]


async def files(client: Client) -> Any:
    """Sends a file and gets one back."""
    there = await answered(client, "see", file=_FILE)
    return [_without_id(there), _without_id(await answered(client, "file"))]


async def cancel(client: Client) -> Any:
    """Cancels a task that works, as soon as it has an id."""
    try:
        result = await client.call("send", client.params(client.message("wait"), wait=False))
        said = comparing.whole(result)
        if said.get("state", "completed") in comparing.SETTLED:
            return {"ended": said}
        canceled = await client.call("cancel", {"id": comparing.task_id(result)})
        return {"canceled": comparing.state(canceled)}
    except RefusedError as refused:
        return {"refused": refused.code, "words": refused.words}
    except TimeoutError:
        return {"no answer": True}


async def error(client: Client) -> Any:
    """Causes a failure of the agent, and asks for a task that the server does not know."""
    failed = _without_id(await answered(client, "fail"))
    unknown = str(uuid.uuid4())
    codes: list[int] = []
    for operation in ("get", "cancel"):
        try:
            await client.call(operation, {"id": unknown})
        except RefusedError as refused:
            codes.append(refused.code)
    return {"failed": failed, "unknown": codes}


async def eight(client: Client) -> Any:
    """Sends eight messages at once; each gets its own response."""
    words = [f"number {number}" for number in range(8)]
    return [_without_id(each) for each in await asyncio.gather(*(answered(client, word) for word in words))]


CELLS: dict[str, Cell] = {
    "send": send,
    "stream": stream,
    "context": context,
    "input": asking,
    "files": files,
    "cancel": cancel,
    "error": error,
    "8 at once": eight,
}
