"""What is done with every framework, at its server and through the gateway alike. Each says what came of it."""

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
    """Sends and waits: a server may return its task at once though it was asked to wait."""
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
    """Two tasks of one context: whether the second knows of the first."""
    one = str(uuid.uuid4())
    await answered(client, "blue", contextId=one)
    return _without_id(await answered(client, "remember", contextId=one))


async def asking(client: Client) -> Any:
    """A question, and its answer in the same task."""
    one = str(uuid.uuid4())
    asked = await answered(client, "ask", contextId=one)
    if asked.get("state") != "input-required":
        return [_without_id(asked)]
    done = await answered(client, "the blue one", contextId=one, taskId=asked["id"])
    return [_without_id(asked), _without_id(done), {"same": done.get("id", asked["id"]) == asked["id"]}]


async def files(client: Client) -> Any:
    """One there, and one back."""
    there = await answered(client, "see", file=_FILE)
    return [_without_id(there), _without_id(await answered(client, "file"))]


async def cancel(client: Client) -> Any:
    """A task that works on, cancelled as soon as it has an id."""
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
    """A failure of the agent, and what the server does not know."""
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
    """Eight at once: each gets its own answer."""
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
