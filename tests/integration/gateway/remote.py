"""An A2A server by hand behind a gateway: each method answers what the test says, in whichever version."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.parts.gateway import World
from tests.parts.upstream import PlainAgent, Seen

from lambdaagent.store.records import TaskRecord

Json = dict[str, Any]
AGENT = "/agents/shop/relayed/api/a2a"


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
    """`answers` by method: a result, an Error, or a list of them that is a stream; or what makes one of the params."""

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
    """The server's `respond`, which answers SendMessage, noted in `asked`, when the method `until` came."""
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
    """Puts the agent `shop/relayed` into the gateway, with this server as its container."""
    server.respond = remote.respond
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "protocol": "a2a", **a2a}}
    spec["a2a"].setdefault("skills", [{"id": "say", "name": "Say"}])
    found.add({"metadata": {"name": "relayed", "namespace": "shop"}, "spec": spec}, url=server.url)


def said(text: str, **more: Any) -> Json:
    return {"messageId": f"m-{text}", "role": "ROLE_AGENT", "parts": [{"text": text}], **more}


def task(state: str, *, id_: str = "theirs", **more: Any) -> Json:
    """A task of the container's, in the 1.0 form."""
    status = {"state": f"TASK_STATE_{state}"} | ({"message": more.pop("message")} if "message" in more else {})
    return {"id": id_, "contextId": "their-context", "status": status, **more}


async def stream(found: World, params: Json, *, method: str = "SendStreamingMessage", **headers: str) -> list[Json]:
    """The results, or errors, of a stream."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    sent = {"A2A-Version": "1.0" if method[0] == "S" else "0.3", "Accept": "text/event-stream", **headers}
    answer = await found.request("POST", AGENT, json=body, headers=sent)
    if answer.content_type == "application/json":
        return [await answer.json()]
    lines = answer.body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return [event.get("result", event) for event in events]


async def until(found: World, task_id: str, holds: Callable[[TaskRecord], bool]) -> None:
    async with asyncio.timeout(10):
        while (record := await found.store.get(task_id)) is None or not holds(record):
            await asyncio.sleep(0.02)


HI = {"message": said("hi")}
OLD_HI = {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
METHODS = {"1.0": ("SendMessage", "SendStreamingMessage"), "0.3": ("message/send", "message/stream")}
