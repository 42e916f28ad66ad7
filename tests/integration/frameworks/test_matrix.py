"""Agents of the public frameworks, unchanged: through the gateway everything is as at their own servers."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession, MultipartReader
from tests.integration.frameworks import cells, comparing, quirks
from tests.integration.frameworks.servers import Server
from tests.integration.frameworks.speaking import Client
from tests.integration.frameworks.table import Table
from tests.integration.gateway.world import World, world


def direct(server: Server, session: ClientSession) -> Client:
    """As its card says, with its address in place of the one that it believes to have."""
    interfaces = [each for each in server.card.get("supportedInterfaces", ()) if each["protocolBinding"] == "JSONRPC"]
    url, version = (interfaces[0]["url"], "1.0") if interfaces else (server.card["url"], "0.3")
    paths = {operation: server.url + path for operation, path in quirks.PATHS.get(server.name, {}).items()}
    container = server.manifest["spec"]["a2a"].get("container", {})
    path = container.get("path") or urlsplit(url).path or "/"
    return Client(session, server.url + path, version, paths, waits=server.name not in quirks.NEVER_WAITS)


def added(found: World, server: Server) -> str:
    """The agent's URL at the gateway."""
    manifest = server.manifest
    found.add({**manifest, "metadata": {**manifest["metadata"], "namespace": "shop"}}, url=server.url)
    return f"{found.url}/agents/shop/{manifest['metadata']['name']}"


@pytest.mark.parametrize("cell", cells.CELLS)
async def test_all_is_as_at_the_server_itself(server: Server, cell: str, table: Table) -> None:
    do = cells.CELLS[cell]
    async with world() as found:
        there = direct(server, found.session)
        through = replace(there, url=f"{added(found, server)}/api/a2a", paths={})
        expected, seen = await asyncio.gather(do(there), do(through)) if cell == "cancel" else (
            await do(there), await do(through)
        )  # fmt: skip
    table.judge(server.name, cell, expected, seen)


async def test_a_direct_skill_call_answers_what_a_message_does(server: Server, table: Table) -> None:
    async with world() as found:
        expected = comparing.texts(await cells.send(direct(server, found.session)))
        url = f"{added(found, server)}/api/a2a/skills/say"
        async with found.session.post(url, data="hello there", headers={"Content-Type": "text/plain"}) as response:
            seen = await _texts(response)
    table.judge(server.name, "skill", expected, seen)


async def _texts(response: ClientResponse) -> list[str]:
    """Several artifacts come as several parts."""
    if response.content_type != "multipart/mixed":
        return [await response.text()]
    reader = MultipartReader.from_response(response)
    return [await part.text() async for part in reader]


async def test_the_card_says_what_the_servers_card_says(server: Server, table: Table) -> None:
    async with world() as found:
        version = direct(server, found.session).version
        url = f"{added(found, server)}/.well-known/agent-card.json"
        async with found.session.get(url, headers={"A2A-Version": version}) as response:
            seen = _card(json.loads(await response.read()))
    table.judge(server.name, "card", _card(server.card), seen)


def _card(card: dict[str, Any]) -> dict[str, Any]:
    kept = {key: card.get(key) for key in ("defaultInputModes", "defaultOutputModes")}
    return {**kept, "streaming": bool(card["capabilities"].get("streaming"))}
