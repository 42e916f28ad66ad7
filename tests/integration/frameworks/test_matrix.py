"""Agents of the public frameworks, unchanged: through the gateway everything is as at their own servers."""

import asyncio
import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout, MultipartReader
from tests.integration.frameworks import cells, comparing, quirks
from tests.integration.frameworks.servers import Server
from tests.integration.frameworks.speaking import Client
from tests.integration.frameworks.table import Table
from tests.parts.gateway import World, world

from lambdaagent.a2a import Json, container_card, extension_methods
from lambdaagent.a2a.modes import as_media_type
from lambdaagent.containers import a2a_endpoint
from lambdaagent.containers.callee import callee
from lambdaagent.httpclient.wire import Target

_SECONDS = ClientTimeout(25)


def direct(server: Server, session: ClientSession) -> Client:
    """Returns a client of the server as its card describes it, but at the address of the test."""
    interfaces = [each for each in server.card.get("supportedInterfaces", ()) if each["protocolBinding"] == "JSONRPC"]
    url, version = (interfaces[0]["url"], "1.0") if interfaces else (server.card["url"], "0.3")
    paths = {operation: server.url + path for operation, path in quirks.PATHS.get(server.name, {}).items()}
    container = server.manifest["spec"]["a2a"].get("container", {})
    path = container.get("path") or urlsplit(url).path or "/"
    return Client(session, server.url + path, version, paths, waits=server.name not in quirks.NEVER_WAITS)


async def added(found: World, server: Server) -> str:
    """Adds the agent to the gateway, with the container's card as the operator would report it; returns its URL."""
    manifest = {**server.manifest, "metadata": {**server.manifest["metadata"], "namespace": "shop"}}
    agent = found.add(manifest, url=server.url)
    target = Target.parse(server.url)
    card = await a2a_endpoint.read_card(found.client, target, callee(agent, target=target))
    kept = container_card.kept(card, revision="r")
    found.add({**manifest, "status": {"a2aStatus": {"containerCard": kept}}}, url=server.url)
    return f"{found.url}/agents/shop/{agent.name}"


@pytest.mark.parametrize("cell", cells.CELLS)
async def test_all_is_as_at_the_server_itself(server: Server, cell: str, table: Table) -> None:
    do = cells.CELLS[cell]
    async with world() as found:
        there = direct(server, found.session)
        through = replace(there, url=f"{await added(found, server)}/api/a2a", paths={})
        expected, seen = await asyncio.gather(do(there), do(through)) if cell == "cancel" else (
            await do(there), await do(through)
        )  # fmt: skip
    table.judge(server.name, cell, expected, seen)


async def test_a_direct_skill_call_answers_what_a_message_does(server: Server, table: Table) -> None:
    async with world() as found:
        there = direct(server, found.session)
        expected = comparing.texts(await cells.send(there))
        base = await added(found, server)
        skill = (await _shown(found, base, there.version))["skills"][0]["id"]
        headers = {"Content-Type": "text/plain"}
        url = f"{base}/api/a2a/skills/{skill}"
        async with found.session.post(url, data="hello there", headers=headers, timeout=_SECONDS) as response:
            seen = await _texts(response)
    table.judge(server.name, "skill", expected, seen)


async def _texts(response: ClientResponse) -> list[str]:
    """Returns the texts; several artifacts come as several parts."""
    if response.content_type != "multipart/mixed":
        return [await response.text()]
    reader = MultipartReader.from_response(response)
    return [await part.text() async for part in reader]


async def test_the_card_says_what_the_servers_card_says(server: Server, table: Table) -> None:
    """But for what the LambdaAgent says itself."""
    async with world() as found:
        base = await added(found, server)
        seen = await _shown(found, base, direct(server, found.session).version)
    said = server.manifest["spec"]["a2a"]
    table.judge(server.name, "card", _card(server.card, said), _card(seen, said))


async def _shown(found: World, base: str, version: str) -> Json:
    url = f"{base}/.well-known/agent-card.json"
    async with found.session.get(url, headers={"A2A-Version": version}) as response:
        card: Json = json.loads(await response.read())
        return card


def _card(card: Json, said: Json) -> Json:
    """Returns what is compared of a card, except what the resource itself sets; modes are media types."""
    kept: Json = {"streaming": bool(card["capabilities"].get("streaming"))}
    if "description" not in said:
        kept["description"] = card["description"]
        uris = [each["uri"] for each in card["capabilities"].get("extensions") or []]
        kept["extensions"] = list(extension_methods.others(uris))  # the gateway declares its own besides
    if "skills" not in said:
        kept["skills"] = [
            {key: value for key, value in skill.items() if key in ("id", "name", "description", "tags")}
            for skill in card["skills"]
        ]
        for name in ("defaultInputModes", "defaultOutputModes"):
            kept[name] = [as_media_type(mode) for mode in card[name]]
    return kept
