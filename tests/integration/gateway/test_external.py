"""Calls to external A2A servers: as tasks of the gateway, with the agent's own credential, to checked addresses."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.parts.authority import authority
from tests.parts.external import external_agent, known_agent, read_card
from tests.parts.gateway import World, message, world
from tests.parts.http_servers import serving
from tests.parts.sdk_agents import sdk_agent
from tests.parts.upstream import PlainAgent, Seen, plain_agent

from lambdaagent.api.external import External
from lambdaagent.containers.external import NoCredentialError
from lambdaagent.external import card_reader
from lambdaagent.external.card_reader import NoCardError
from lambdaagent.trust import read as read_trust
from lambdaagent.webhooks.address_check import not_metadata

PATH = "/agents/shop/partner/api/a2a"
CALLER = {"Authorization": "Bearer of-the-caller", "Cookie": "session=of-the-caller"}


async def secret_headers(namespace: str, wanted: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str]]:
    assert (namespace, wanted) == ("shop", (("X-Key", "partner", "token"),))
    return [("X-Key", "ours")]


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world(secret_headers=secret_headers) as found:
        yield found


async def send(gateway: World, text: str, **more: Any) -> dict[str, Any]:
    answer = await gateway.rpc("SendMessage", {"message": message(text), **more}, path=PATH, **CALLER)
    task: dict[str, Any] = answer["result"]["task"]
    return task


def said(task: dict[str, Any]) -> str:
    return str(task["status"]["message"]["parts"][0]["text"])


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_every_kind_of_call_reaches_a_server_of_the_sdk(gateway: World, version: str) -> None:
    with sdk_agent(version, here=True) as (url, process):
        gateway.add(await known_agent(url), url=None)
        card = await (await gateway.request("GET", "/agents/shop/partner/.well-known/agent-card.json")).json()
        assert [skill["id"] for skill in card["skills"]] == ["say"]
        assert url not in json.dumps(card)
        task = await send(gateway, "hello there")
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert "".join(part["text"] for part in task["artifacts"][0]["parts"]) == "hellothere"
        direct = await gateway.request("POST", f"{PATH}/skills/say", data=b"hi", headers={"Content-Type": "text/plain"})
        assert (direct.status, direct.body) == (200, b"hi")
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message("a b")}}
        stream = await gateway.request("POST", PATH, json=body, headers={"A2A-Version": "1.0"})
        assert stream.body.count(b"artifactUpdate") == 2
        asked = await send(gateway, "ask")
        assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        more = message("this one", messageId="m-2", taskId=asked["id"], contextId=asked["contextId"])
        answer = await gateway.rpc("SendMessage", {"message": more}, path=PATH)
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
        waiting = await send(gateway, "wait", configuration={"returnImmediately": True})
        async with asyncio.timeout(10):
            while True:
                now = (await gateway.rpc("GetTask", {"id": waiting["id"]}, path=PATH))["result"]
                if now["status"]["state"] == "TASK_STATE_WORKING":
                    break
                await asyncio.sleep(0.02)
        canceled = await gateway.rpc("CancelTask", {"id": waiting["id"]}, path=PATH)
        assert canceled["result"]["status"]["state"] == "TASK_STATE_CANCELED"
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 10)
        assert line.startswith("canceled ")


def server(partner: PlainAgent, card: dict[str, Any] | None = None) -> None:
    """Lets the plain server answer as an A2A server whose card is, by default, right."""
    interface = {"url": f"{partner.url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    made = card or {"name": "p", "description": "d", "version": "1", "supportedInterfaces": [interface]}

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        result = {"message": {"messageId": "1", "role": "ROLE_AGENT", "parts": [{"text": "done"}]}}
        body = made if seen.method == "GET" else {"jsonrpc": "2.0", "id": json.loads(seen.body)["id"], "result": result}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    partner.respond = respond


async def test_the_agents_credential_goes_out_and_the_callers_does_not(gateway: World) -> None:
    with plain_agent() as partner:
        server(partner)
        gateway.add(await known_agent(partner.url, headers=True), url=None)
        partner.seen.clear()
        answer = await gateway.rpc("SendMessage", {"message": message()}, path=PATH, **CALLER)
        assert answer["result"]["message"]["parts"] == [{"text": "done"}]
        (call,) = partner.seen  # the card is known: no request asks for it
        assert (call.path, call.headers["x-key"]) == ("/rpc", "ours")
        assert "of-the-caller" not in str(call.headers)


async def test_without_the_right_to_the_secret_nothing_is_sent_and_the_call_says_why() -> None:
    async def refused(namespace: str, wanted: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str]]:
        raise NoCredentialError("the gateway may not read Secret shop/partner")

    with plain_agent() as partner:
        server(partner)
        async with world(secret_headers=refused) as gateway:
            gateway.add(await known_agent(partner.url, headers=True), url=None)
            partner.seen.clear()
            task = await send(gateway, "hello")
            assert said(task) == "The agent was not called: the gateway may not read Secret shop/partner."
            assert partner.seen == []


async def test_a_private_address_is_refused_at_the_socket_and_gets_no_request() -> None:
    async with world(on_loopback=False) as gateway:
        with plain_agent() as partner:
            server(partner)
            gateway.add(await known_agent(partner.url), url=None)
            partner.seen.clear()
            host = partner.url.split("/")[2]
            why = said(await send(gateway, "hello"))
            assert why.startswith(
                f"The A2A server {host} of the agent shop/partner cannot be reached: 127.0.0.1 is not"
            )
            assert partner.seen == []


async def test_a_name_that_resolves_to_another_address_later_does_not_lead_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address that is checked is the one that is dialled: the name is not resolved a second time."""
    resolved: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host != "rebind.example.com":
            return real(host, port, *rest, **more)
        resolved.append(host)
        address = "127.0.0.2" if len(resolved) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with world(on_loopback=False, push_allow=[ip_network("127.0.0.2/32")]) as gateway:
        with plain_agent() as partner:
            server(partner)
            card = await read_card(partner.url)
            url = partner.url.replace("127.0.0.1", "rebind.example.com")
            card["endpoint"]["url"] = url
            partner.seen.clear()
            monkeypatch.setattr(socket, "getaddrinfo", rebinding)
            gateway.add({**external_agent(url), "status": {"a2aStatus": {"containerCard": card}}}, url=None)
            first, second = said(await send(gateway, "hello")), said(await send(gateway, "hello"))
            assert "Connection refused" in first  # at 127.0.0.2, where nobody listens
            assert "127.0.0.1 is not a public address" in second
            assert len(resolved) == 2
            assert partner.seen == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((401, b"the key ours is not known"), id="HTTP"),
        pytest.param((200, b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no key ours"}}'), id="JSON-RPC"),
    ],
)
async def test_an_error_that_repeats_the_credential_is_masked(gateway: World, answer: tuple[int, bytes]) -> None:
    with plain_agent() as partner:
        server(partner)
        gateway.add(await known_agent(partner.url, headers=True), url=None)
        partner.respond = lambda _: (answer[0], {"Content-Type": "application/json"}, answer[1])
        text = json.dumps(await gateway.rpc("SendMessage", {"message": message()}, path=PATH))
        assert "key ***" in text
        assert "ours" not in text


async def test_a_private_authority_is_trusted_where_the_installation_trusts_it(tmp_path: Path) -> None:
    made = authority(tmp_path)

    async def answer(request: web.Request) -> web.Response:
        url = f"https://{request.host}/rpc"
        if request.method == "GET":
            interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            return web.json_response({"name": "p", "supportedInterfaces": [interface]})
        result = {"message": {"messageId": "1", "role": "ROLE_AGENT", "parts": [{"text": "over TLS"}]}}
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": result})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    known = read_trust(str(made.ca))
    async with serving(app, tls=made.server()) as url:
        found = await card_reader.read(External(url=url), seconds=10, check=lambda _: not_metadata, trust=known)
        agent = external_agent(url) | {"status": {"a2aStatus": {"containerCard": found.card.kept}}}
        async with world(trust=known) as gateway:
            gateway.add(agent, url=None)
            task = await gateway.rpc("SendMessage", {"message": message()}, path=PATH)
            assert task["result"]["message"]["parts"] == [{"text": "over TLS"}]
        async with world() as gateway:
            gateway.add(agent, url=None)
            assert "certificate" in said(await send(gateway, "hello"))
        with pytest.raises(NoCardError, match="its certificate is not trusted"):
            await card_reader.read(External(url=url), seconds=10, check=lambda _: not_metadata)


async def test_an_agent_whose_card_is_not_known_is_not_called(gateway: World) -> None:
    with plain_agent() as partner:
        server(partner)
        gateway.add(external_agent(partner.url, skills=[{"id": "say", "name": "Say"}]), url=None)
        answer = await gateway.request("POST", f"{PATH}/skills/say", data=b"hi")
        assert answer.status == 503
        assert b"its agent card is not known yet; see the agent's condition ServingReady" in answer.body
        assert partner.seen == []


async def test_a_redirect_of_a_call_is_not_followed(gateway: World) -> None:
    with plain_agent() as partner, plain_agent() as other:
        server(partner)
        gateway.add(await known_agent(partner.url, headers=True), url=None)
        partner.respond = lambda _: (307, {"Location": other.url}, b"")
        assert "it answers 307" in said(await send(gateway, "hello"))
        assert other.seen == []


async def test_the_url_of_the_status_is_never_called(gateway: World) -> None:
    with plain_agent() as partner, plain_agent() as other:
        server(partner)
        gateway.add(await known_agent(partner.url), url=other.url)
        await gateway.rpc("SendMessage", {"message": message()}, path=PATH)
        event = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/s"}
        assert (await gateway.request("POST", "/events/shop/to/partner", headers=event)).status >= 400
        assert other.seen == []
