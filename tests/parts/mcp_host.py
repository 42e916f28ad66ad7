"""A host that speaks MCP by hand: what it sends is what a test writes, in either era."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import ClientResponse, ClientSession

MODERN = "2026-07-28"
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
FORMS = {"elicitation": {}}
BOTH = "application/json, text/event-stream"
_NAMES = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}


@dataclass
class Host:
    session: ClientSession
    url: str
    version: str = MODERN
    capabilities: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ids: "count[int]" = field(default_factory=lambda: count(1))

    def message(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Returns the body and the headers of a request."""
        headers = {"Accept": BOTH, "MCP-Protocol-Version": self.version, **self.headers}
        if self.version == MODERN:
            meta = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            }
            params = {**params, "_meta": {**meta, **params.get("_meta", {})}}
            headers["Mcp-Method"] = method
            name = params.get(_NAMES.get(method, "taskId"))
            if name is not None:
                headers["Mcp-Name"] = name
        return {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}, headers

    @asynccontextmanager
    async def open(self, method: str, **params: Any) -> AsyncIterator[ClientResponse]:
        body, headers = self.message(method, params)
        async with self.session.post(self.url, json=body, headers=headers) as response:
            yield response

    async def messages(self, response: ClientResponse) -> AsyncIterator[dict[str, Any]]:
        """Yields the messages of a stream, or the one of a JSON response."""
        if response.content_type == "application/json":
            yield await response.json()
            return
        assert response.content_type == "text/event-stream", (response.status, await response.text())
        async for line in response.content:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Returns the last message of the response, which is a result or an error."""
        async with self.open(method, **params) as response:
            return [each async for each in self.messages(response)][-1]

    async def result(self, method: str, **params: Any) -> dict[str, Any]:
        answer = await self.ask(method, **params)
        assert "result" in answer, answer
        found: dict[str, Any] = answer["result"]
        return found

    async def call(self, name: str, text: str = "hello", **params: Any) -> dict[str, Any]:
        return await self.result("tools/call", name=name, arguments={"text": text}, **params)

    async def respond(self, id_: str, **body: Any) -> int:
        """Responds to a request of the gateway, as a host of a handshake revision; returns the status."""
        headers = {"Accept": BOTH, "MCP-Protocol-Version": self.version, **self.headers}
        sent = {"jsonrpc": "2.0", "id": id_, **body}
        async with self.session.post(self.url, json=sent, headers=headers) as response:
            return response.status


def said(result: dict[str, Any]) -> str:
    """Returns the text of a result."""
    return " ".join(part["text"] for part in result["content"] if part["type"] == "text")
