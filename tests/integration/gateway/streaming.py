"""Reads event streams of a gateway, and requests one operation in every version and binding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientResponse
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.gateway import World

BASE = "/agents/shop/echo/api/a2a"
TEXT = {
    "1.0": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
    "0.3 JSON-RPC": {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]},
    "0.3 REST": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hi"}]},
}


@dataclass(frozen=True)
class Event:
    data: Any
    id: str = ""
    event: str = ""
    raw: bytes = b""


async def events(response: ClientResponse) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    raw = b""
    async for line in response.content:
        if line.strip():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                raw += line
        elif fields:
            yield Event(orjson.loads(fields["data"]), fields.get("id", ""), fields.get("event", ""), raw)
            fields, raw = {}, b""


@dataclass(frozen=True)
class Way:
    """A version over a binding; `call` returns the request of an operation."""

    name: str
    version: str
    rest: bool

    def call(self, operation: str, **ids: str) -> tuple[str, str, Any]:
        """Returns the HTTP method, the path and the body of an operation."""
        task, push = ids.get("task", ""), ids.get("push", "")
        if not self.rest:
            return "POST", BASE, {"jsonrpc": "2.0", "id": 7, **_RPC[self.version](operation, task, push)}
        method, path = _REST[operation]
        prefix = BASE if self.version == "1.0" else f"{BASE}/v1"
        dialect = "1.0" if self.version == "1.0" else "0.3 REST"
        body = {"message": TEXT[dialect]} if operation in ("send", "stream") else None
        if operation == "push":
            config = {"url": ids["url"], "id": push}
            body = config if self.version == "1.0" else {"config": {"pushNotificationConfig": config}}
        return method, prefix + path.format(task=task, push=push), body

    @asynccontextmanager
    async def ask(
        self, world: World, operation: str, *, headers: dict[str, str] | None = None, **ids: str
    ) -> AsyncIterator[ClientResponse]:
        method, path, body = self.call(operation, **ids)
        said = {"A2A-Version": self.version, **(headers or {})}
        json = {"json": body} if body is not None else {}
        async with world.session.request(method, world.url + path, headers=said, **json) as response:
            yield response

    async def answer(self, world: World, operation: str, **ids: str) -> Any:
        async with self.ask(world, operation, **ids) as response:
            return self.unwrap(await response.json())

    def unwrap(self, body: Any) -> Any:
        if self.rest:
            return body
        assert (body["jsonrpc"], body["id"]) == ("2.0", 7)
        return body.get("result", body)

    def task(self, sent: Any) -> Any:
        """Returns the task in the response to a message, or in the first event of a stream."""
        return sent if self.name == "0.3 JSON-RPC" else sent["task"]

    def check(self, name_v1: str, name_v03: str, value: Any) -> None:
        """Checks a value against the schema of the version; the REST form of 0.3 has a proto, which unit tests use."""
        if self.version == "1.0":
            check_v1(name_v1, value)
        elif not self.rest:
            check_v03(name_v03, value)


def _rpc_v1(operation: str, task: str, push: str) -> dict[str, Any]:
    return {
        "send": {"method": "SendMessage", "params": {"message": TEXT["1.0"]}},
        "stream": {"method": "SendStreamingMessage", "params": {"message": TEXT["1.0"]}},
        "get": {"method": "GetTask", "params": {"id": task}},
        "list": {"method": "ListTasks", "params": {}},
        "cancel": {"method": "CancelTask", "params": {"id": task}},
        "subscribe": {"method": "SubscribeToTask", "params": {"id": task}},
        "push": {
            "method": "CreateTaskPushNotificationConfig",
            "params": {"taskId": task, "id": push, "url": "http://127.0.0.1:9/x"},
        },
        "pushed": {"method": "GetTaskPushNotificationConfig", "params": {"taskId": task, "id": push}},
        "pushes": {"method": "ListTaskPushNotificationConfigs", "params": {"taskId": task}},
        "drop": {"method": "DeleteTaskPushNotificationConfig", "params": {"taskId": task, "id": push}},
    }[operation]


def _rpc_v03(operation: str, task: str, push: str) -> dict[str, Any]:
    config = {"id": push, "url": "http://127.0.0.1:9/x"}
    named = {"id": task, "pushNotificationConfigId": push}
    return {
        "send": {"method": "message/send", "params": {"message": TEXT["0.3 JSON-RPC"]}},
        "stream": {"method": "message/stream", "params": {"message": TEXT["0.3 JSON-RPC"]}},
        "get": {"method": "tasks/get", "params": {"id": task}},
        "cancel": {"method": "tasks/cancel", "params": {"id": task}},
        "subscribe": {"method": "tasks/resubscribe", "params": {"id": task}},
        "push": {
            "method": "tasks/pushNotificationConfig/set",
            "params": {"taskId": task, "pushNotificationConfig": config},
        },
        "pushed": {"method": "tasks/pushNotificationConfig/get", "params": named},
        "pushes": {"method": "tasks/pushNotificationConfig/list", "params": {"id": task}},
        "drop": {"method": "tasks/pushNotificationConfig/delete", "params": named},
    }[operation]


_RPC = {"1.0": _rpc_v1, "0.3": _rpc_v03}
_REST = {
    "send": ("POST", "/message:send"),
    "stream": ("POST", "/message:stream"),
    "get": ("GET", "/tasks/{task}"),
    "list": ("GET", "/tasks"),
    "cancel": ("POST", "/tasks/{task}:cancel"),
    "subscribe": ("POST", "/tasks/{task}:subscribe"),
    "push": ("POST", "/tasks/{task}/pushNotificationConfigs"),
    "pushed": ("GET", "/tasks/{task}/pushNotificationConfigs/{push}"),
    "pushes": ("GET", "/tasks/{task}/pushNotificationConfigs"),
    "drop": ("DELETE", "/tasks/{task}/pushNotificationConfigs/{push}"),
}
WAYS = [
    Way("1.0 JSON-RPC", "1.0", rest=False),
    Way("1.0 REST", "1.0", rest=True),
    Way("0.3 JSON-RPC", "0.3", rest=False),
    Way("0.3 REST", "0.3", rest=True),
]
