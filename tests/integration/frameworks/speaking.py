"""A plain JSON-RPC client in both versions, for a server and for the gateway."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout

Json = dict[str, Any]
_METHODS = {
    "1.0": {"send": "SendMessage", "stream": "SendStreamingMessage", "get": "GetTask", "cancel": "CancelTask"},
    "0.3": {"send": "message/send", "stream": "message/stream", "get": "tasks/get", "cancel": "tasks/cancel"},
}
_SECONDS = 25.0


class RefusedError(Exception):
    """The error that the server returns instead of a result."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Client:
    session: ClientSession
    url: str
    version: str
    paths: dict[str, str] = field(default_factory=dict)
    """URLs of operations that are not at `url`."""
    waits: bool = True
    """Whether a send waits for the end of its task unless it says otherwise."""

    def message(self, text: str, *, file: Json | None = None, **more: Any) -> Json:
        old = self.version == "0.3"
        parts: list[Json] = [{"kind": "text", "text": text} if old else {"text": text}]
        if file is not None:
            parts.append({"kind": "file", "file": file} if old else _new_file(file))
        role = {"kind": "message", "role": "user"} if old else {"role": "ROLE_USER"}
        return {**role, "messageId": str(uuid.uuid4()), "parts": parts, **more}

    def params(self, message: Json, *, wait: bool = True) -> Json:
        """Returns the parameters as the public clients send them."""
        wait = wait and self.waits
        if self.version == "0.3":
            return {"message": message, "configuration": {"acceptedOutputModes": [], "blocking": wait}}
        return {"message": message, "configuration": {"returnImmediately": not wait}}

    async def call(self, operation: str, params: Json) -> Any:
        """Raises RefusedError."""
        async with self._asked(operation, params) as response:
            return _result(await response.read(), response.status)

    async def stream(self, params: Json) -> AsyncIterator[Any]:
        """Raises RefusedError."""
        async with self._asked("stream", params) as response:
            if response.content_type != "text/event-stream":
                _result(await response.read(), response.status)
                raise RefusedError(response.status, "no stream")
            async for line in response.content:
                if line.startswith(b"data:"):
                    yield _result(line[5:], response.status)

    def _asked(self, operation: str, params: Json) -> Any:
        method = _METHODS[self.version][operation]
        headers = {"Accept": "application/json, text/event-stream"}
        if self.version == "1.0":
            headers["A2A-Version"] = "1.0"
        body = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}
        url = self.paths.get(operation, self.url)
        # A part of a stream may be a whole file in one line.
        return self.session.post(url, json=body, headers=headers, timeout=ClientTimeout(_SECONDS), read_bufsize=2**20)


def _new_file(old: Json) -> Json:
    return {"raw": old["bytes"], "filename": old["name"], "mediaType": old["mimeType"]}


def _result(body: bytes, status: int) -> Any:
    try:
        answer = json.loads(body)
    except ValueError:
        raise RefusedError(status, body.decode(errors="replace")[:80]) from None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        # The gateway says whose words they are.
        words = str(answer["error"].get("message")).removeprefix("The agent refuses: ")
        raise RefusedError(answer["error"].get("code", 0), words)
    if not isinstance(answer, dict) or "result" not in answer:
        raise RefusedError(status, json.dumps(answer)[:80])
    return answer["result"]
