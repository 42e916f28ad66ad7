"""An A2A server behind a gateway, in either version, whose response to each method a test sets."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.parts.gateway import World, message
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, Seen

from lambdaagent.store.records import TaskRecord

Json = dict[str, Any]
AGENT = "/agents/shop/relayed/api/a2a"
CARD = {
    "capabilities": {"streaming": True},
    "supportedInterfaces": [{"url": "http://x/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
}


@dataclass
class Request:
    method: str
    params: Json
    headers: dict[str, str]


@dataclass
class Error:
    """A JSON-RPC error."""

    code: int
    message: str


Answer = Json | Error | list[Any]


@dataclass
class Remote:
    """The server. `answers` has by method a result, an Error, a list of them for a stream, or a function of params."""

    version: str = "1.0"
    streaming: bool = False
    answers: dict[str, Answer | Callable[[Json], Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def card(self) -> Json:
        capabilities = {"streaming": self.streaming}
        if self.version == "1.0":
            interface = {"url": "http://x/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            return {"capabilities": capabilities, "supportedInterfaces": [interface]}
        return {"protocolVersion": "0.3.0", "url": "http://x/rpc", "capabilities": capabilities}

    def respond(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.method == "GET":
            return 200, {"Content-Type": "application/json"}, json.dumps(self.card()).encode()
        body = json.loads(seen.body)
        method, params = body["method"], body["params"]
        self.requests.append(Request(method, params, seen.headers))
        answer = self.answers.get(method, Error(-32601, "no such method"))
        answer = answer(params) if callable(answer) else answer
        if isinstance(answer, list):
            events = b"".join(b"data: %b\n\n" % json.dumps(_framed(body["id"], each)).encode() for each in answer)
            return 200, {"Content-Type": "text/event-stream"}, events
        return 200, {"Content-Type": "application/json"}, json.dumps(_framed(body["id"], answer)).encode()

    def asked(self, method: str) -> list[Json]:
        return [request.params for request in self.requests if request.method == method]


def _framed(id_: Any, answer: Any) -> Json:
    if isinstance(answer, Error):
        return {"jsonrpc": "2.0", "id": id_, "error": {"code": answer.code, "message": answer.message}}
    return {"jsonrpc": "2.0", "id": id_, "result": answer}


def answering_late(remote: Remote, *, asked: asyncio.Event, until: str, came: asyncio.Event) -> Any:
    """Returns a `respond` for the server: it sets `asked` at SendMessage, and answers it after the method `until`."""
    loop = asyncio.get_running_loop()

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        method = json.loads(seen.body)["method"] if seen.body else ""
        if method == "SendMessage":
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(came.wait(), 20), loop).result(25)
        answer = remote.respond(seen)
        if method == until:
            loop.call_soon_threadsafe(came.set)
        return answer

    return respond


def serve(server: PlainAgent, found: World, remote: Remote, **a2a: Any) -> None:
    """Adds the agent `shop/relayed` to the gateway; its container is this server, which answers as `remote`."""
    server.respond = remote.respond
    relayed(found, server.url, **a2a)


def relayed(found: World, url: str, **a2a: Any) -> None:
    """Adds the agent `shop/relayed` to the gateway; its container is the A2A server at `url`."""
    a2a = {"enabled": True, "protocol": "a2a", "skills": [{"id": "say", "name": "Say"}], **a2a}
    spec = {"image": {"repository": "r"}, "a2a": a2a}
    found.add({"metadata": {"name": "relayed", "namespace": "shop"}, "spec": spec}, url=url)


async def send(found: World, text: str, **more: Any) -> Json:
    """Sends a message to `shop/relayed` and returns its task."""
    answer = await found.rpc("SendMessage", {"message": message(text, **more)}, path=AGENT)
    task: Json = answer["result"]["task"]
    return task


def said(text: str, **more: Any) -> Json:
    return {"messageId": f"m-{text}", "role": "ROLE_AGENT", "parts": [{"text": text}], **more}


def task(state: str, *, id_: str = "theirs", **more: Any) -> Json:
    """Returns a task of the container in the form of 1.0."""
    status = {"state": f"TASK_STATE_{state}"} | ({"message": more.pop("message")} if "message" in more else {})
    return {"id": id_, "contextId": "their-context", "status": status, **more}


async def stream(found: World, params: Json, *, method: str = "SendStreamingMessage", **headers: str) -> list[Json]:
    """Sends a message and returns the results or errors in its stream."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    sent = {"A2A-Version": "1.0" if method[0] == "S" else "0.3", "Accept": "text/event-stream", **headers}
    answer = await found.request("POST", AGENT, json=body, headers=sent)
    if answer.content_type == "application/json":
        return [await answer.json()]
    lines = answer.body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return [event.get("result", event) for event in events]


async def until(found: World, task_id: str, holds: Callable[[TaskRecord], bool]) -> None:
    """Waits until the stored task is such that `holds` is true of it."""

    async def check() -> bool:
        record = await found.store.get(task_id)
        return record is not None and holds(record)

    await eventually(check)


HI = {"message": said("hi")}
OLD_HI = {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
METHODS = {"1.0": ("SendMessage", "SendStreamingMessage"), "0.3": ("message/send", "message/stream")}
