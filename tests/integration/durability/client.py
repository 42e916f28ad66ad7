"""A client of several gateways, as if behind a Service: it repeats at another gateway a request that fails.

A request that may not have arrived is sent again with the same Idempotency-Key. Whether it may be sent again is told
from the answer: a broken connection, 429 and 5xx say so, every other answer is final.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp
import orjson
from tests.parts.running import Running

Json = dict[str, Any]
REQUEST_SECONDS, PATIENCE = 20.0, 90.0
NOT_CANCELABLE, INTERNAL = -32002, -32603


class AgainError(Exception):
    """The request got no response, or a response that asks to repeat it."""


class UnansweredError(Exception):
    """No gateway responded in time."""


class RefusedError(Exception):
    """The response is an error, and a repetition would not help."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.code = int(error["code"])


@dataclass(frozen=True)
class Event:
    id: str
    data: Json


class Client:
    def __init__(
        self, session: aiohttp.ClientSession, gateways: Sequence[Running], namespace: str, *, chance: Random
    ) -> None:
        self.session = session
        self.gateways = gateways
        self.namespace = namespace
        self._chance = chance
        # Answers of 404 about an agent that is there.
        self.agent_unknown = 0

    def url(self, gateway: int, agent: str) -> str:
        return f"{self.gateways[gateway].url}/agents/{self.namespace}/{agent}/api/a2a"

    def any(self, *, but: int | None = None) -> int:
        return self._chance.choice([number for number in range(len(self.gateways)) if number != but])

    async def ask(self, gateway: int, agent: str, method: str, params: Json, *, key: str = "") -> Json:
        """Sends one request to one gateway and returns the result."""
        try:
            async with self.session.post(
                self.url(gateway, agent),
                json=_body(method, params),
                headers=_headers(key),
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            ) as answer:
                return self._result(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AgainError(type(error).__name__) from None

    async def insist(self, agent: str, method: str, params: Json, *, key: str = "", but: int | None = None) -> Json:
        """Sends a request to one gateway after the other, `but` not first. Raises UnansweredError if none responds."""
        deadline, gateway = time.monotonic() + PATIENCE, self.any(but=but)
        while True:
            try:
                return await self.ask(gateway, agent, method, params, key=key)
            except AgainError as error:
                if time.monotonic() > deadline:
                    raise UnansweredError(f"{method}: {error}") from None
            await asyncio.sleep(self._chance.uniform(0.05, 0.3))
            gateway = self.any(but=gateway)

    async def events(
        self, gateway: int, agent: str, method: str, params: Json, *, key: str = "", after: str = ""
    ) -> AsyncIterator[Event]:
        """Yields the events of one response. Raises AgainError if the stream breaks off."""
        headers = _headers(key) | ({"Last-Event-ID": after} if after else {})
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=REQUEST_SECONDS)
        try:
            async with self.session.post(
                self.url(gateway, agent), json=_body(method, params), headers=headers, timeout=limits
            ) as answer:
                if answer.content_type != "text/event-stream":
                    self._result(answer.status, await answer.read())
                    raise AgainError("the answer is no stream")
                id_ = ""
                async for line in answer.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "id":
                        id_ = value
                    elif name == "data":
                        yield Event(id_, self._result(200, value.encode()))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AgainError(type(error).__name__) from None

    async def task(self, agent: str, task_id: str) -> Json:
        return await self.insist(agent, "GetTask", {"id": task_id})

    async def settled(self, agent: str, task_id: str, *, within: float = PATIENCE) -> Json:
        """Waits until any gateway returns the task as ended. Raises UnansweredError."""
        deadline = time.monotonic() + within
        while not ended(task := await self.task(agent, task_id)):
            if time.monotonic() > deadline:
                raise UnansweredError(f"task {task_id} is {state(task)} after {within} s")
            await asyncio.sleep(0.1)
        return task

    def _result(self, status: int, body: bytes) -> Json:
        if status == 404:
            self.agent_unknown += 1
        if status in (404, 429) or status >= 500:
            raise AgainError(f"HTTP {status}")
        answer = orjson.loads(body)
        if status != 200:
            raise RefusedError({"code": status, "message": str(answer.get("detail", answer))})
        if "error" in answer:
            # The end of a stream that broke inside the gateway has no HTTP status of its own.
            if answer["error"]["code"] == INTERNAL:
                raise AgainError(answer["error"]["message"])
            raise RefusedError(answer["error"])
        result: Json = answer["result"]
        return result


def send(text: str, key: str, *, skill: str, wait: bool = True, push: str = "", task_id: str = "") -> Json:
    """Returns the parameters of SendMessage; `key` is also the id of the message."""
    message: Json = {
        "messageId": key,
        "role": "ROLE_USER",
        "parts": [{"text": text}],
        "metadata": {"skillId": skill},
    }
    if task_id:
        message["taskId"] = task_id
    configuration: Json = {"returnImmediately": not wait}
    if push:
        configuration["taskPushNotificationConfig"] = {"url": push}
    return {"message": message, "configuration": configuration}


def state(task: Json) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def ended(task: Json) -> bool:
    return state(task) in ("COMPLETED", "FAILED", "CANCELED", "REJECTED")


def texts(task: Json) -> list[list[str]]:
    """Returns the texts of each artifact."""
    return [[part.get("text", "") for part in artifact["parts"]] for artifact in task.get("artifacts", [])]


def reason(task: Json) -> str:
    """Returns the text in the status of the task."""
    parts = task["status"].get("message", {}).get("parts", [])
    return " ".join(part.get("text", "") for part in parts)


def _body(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _headers(key: str) -> dict[str, str]:
    return {"A2A-Version": "1.0"} | ({"Idempotency-Key": key} if key else {})
