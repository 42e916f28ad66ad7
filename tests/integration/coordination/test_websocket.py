"""An agent without an inbound port: it gets, acknowledges and sends messages on a WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError
from tests.integration.coordination.test_messages import call, envelope, registered
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually

TYPE = "io.knative.lambda.a2a.message"


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as found:
        await registered(found, "ann", "laptop")
        yield found


def connect(gateway: World, agent: str = "laptop", **headers: str) -> Any:
    url = gateway.url.replace("http:", "ws:") + f"/a2a/ws?agent={agent}"
    return gateway.session.ws_connect(url, protocols=["cloudevents.json"], headers=headers)


async def received(socket: ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(10):
        return await socket.receive_json()


def acknowledgement(message_id: str) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "a", "source": "/me", "type": f"{TYPE}.acknowledged", "subject": message_id}


async def test_a_message_arrives_at_once_and_is_acknowledged(gateway: World) -> None:
    async with connect(gateway) as socket:
        _, receipt = await call(gateway, "POST", "/a2a/message", envelope("laptop"))
        event = await received(socket)
        assert (event["type"], event["id"], event["specversion"]) == (TYPE, receipt["message_id"], "1.0")
        assert event["data"]["content"]["data"] == {"query": "hello"}
        await socket.send_json(acknowledgement(event["id"]))

        async def acknowledged() -> bool:
            path = f"/a2a/messages/{event['id']}"
            return (await call(gateway, "GET", path))[1]["status"] == "acknowledged"

        await eventually(acknowledged)


async def test_what_came_while_it_was_away_waits_and_what_it_did_not_acknowledge_comes_again(gateway: World) -> None:
    await call(gateway, "POST", "/a2a/message", envelope("laptop"))
    async with connect(gateway) as socket:
        first = await received(socket)
    assert gateway.services.coordination is not None
    database = gateway.services.coordination.database
    from lambdaagent.store.coordination import messages

    await database.run(lambda tx: messages.retry(tx, first["id"], "laptop", after=0, error=""))
    await database.run(lambda tx: tx.connection.execute(messages.deliveries.update().values(due=tx.now - 1)).rowcount)
    async with connect(gateway) as socket:
        assert (await received(socket))["id"] == first["id"]


async def test_it_sends_messages_and_learns_what_became_of_them(gateway: World) -> None:
    async with connect(gateway) as socket:
        body = {"from": "laptop", "to": "ann", "content": {"type": "query", "data": {"x": 1}}}
        event = {"specversion": "1.0", "id": "mine-1", "source": "/me", "type": TYPE, "data": body}
        await socket.send_json(event)
        answer = await received(socket)
        assert (answer["type"], answer["correlationid"]) == (f"{TYPE}.accepted", "mine-1")
        assert answer["data"]["message_id"] == "mine-1"
        await socket.send_json(event | {"id": "mine-2", "data": body | {"to": "nobody"}})
        answer = await received(socket)
        assert (answer["type"], answer["data"]["type"]) == (f"{TYPE}.refused", "unknown-agent")
    _, found = await call(gateway, "GET", "/a2a/messages?agent=ann")
    assert [each["message_id"] for each in found["messages"]] == ["mine-1"]


@pytest.mark.parametrize(
    "sent",
    [
        "{",
        "[]",
        "5",
        '{"type": 5}',
        '{"type": "x"}',
        '{"type": "' + TYPE + '"}',
        '{"type": "' + TYPE + '.acknowledged"}',
    ],
)
async def test_odd_events_are_refused_and_the_connection_goes_on(gateway: World, sent: str) -> None:
    async with connect(gateway) as socket:
        await socket.send_str(sent)
        assert (await received(socket))["type"] == f"{TYPE}.refused"
        await call(gateway, "POST", "/a2a/message", envelope("laptop"))
        assert (await received(socket))["type"] == TYPE


async def test_bytes_and_events_without_bound_end_the_connection(gateway: World) -> None:
    for send in (lambda socket: socket.send_bytes(b"x"), lambda socket: socket.send_str("x" * 1_100_000)):
        async with connect(gateway) as socket:
            await send(socket)
            async with asyncio.timeout(10):
                await socket.receive()
            assert socket.close_code in (1003, 1009)


async def test_a_connection_is_a_heartbeat(gateway: World) -> None:
    await call(gateway, "POST", "/a2a/register", {"agent_id": "laptop", "ttl_seconds": 1})

    async def status() -> Any:
        return (await call(gateway, "GET", "/a2a/agents/laptop"))[1]["status"]

    async def inactive() -> bool:
        return await status() == "inactive"

    await eventually(inactive)
    async with connect(gateway):

        async def active() -> bool:
            return await status() == "active"

        await eventually(active)


async def test_without_the_subprotocol_there_is_no_connection(gateway: World) -> None:
    status, problem = await call(gateway, "GET", "/a2a/ws?agent=laptop")
    assert (status, problem["type"]) == (426, "urn:lambdaagent:problem:websocket-expected")


async def test_nobody_reads_the_messages_of_another(tmp_path: Path, issuer: Issuer) -> None:
    rules = {"issuers": [issuer.configured()], "registrars": ["corp:ann"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        ann, eve = of(issuer, "ann"), of(issuer, "eve")
        assert (await call(gateway, "POST", "/a2a/register", {"agent_id": "laptop"}, **ann))[0] == 201
        for headers, status in (({}, 401), (eve, 403)):
            with pytest.raises(WSServerHandshakeError) as refused:
                async with connect(gateway, **headers):
                    pass
            assert refused.value.status == status
            assert (await call(gateway, "GET", "/a2a/messages?agent=laptop", **headers))[0] == status
        async with connect(gateway, **ann) as socket:
            body = envelope("laptop") | {"from": "laptop"}
            assert (await call(gateway, "POST", "/a2a/message", body, **eve))[0] == 403
            assert (await call(gateway, "POST", "/a2a/message", body | {"from": "corp:eve"}, **eve))[0] == 404
            assert (await call(gateway, "POST", "/a2a/message", body | {"from": "corp:ann"}, **ann))[0] == 202
            assert (await received(socket))["data"]["from"] == "corp:ann"
