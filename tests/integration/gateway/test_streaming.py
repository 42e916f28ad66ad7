"""Streams on real sockets: their events and ends, what breaks off and goes on, what is told before they begin."""

import asyncio
from typing import Any

import pytest
from tests.integration.gateway.streaming import WAYS, Event, Way, events
from tests.parts.gateway import World, message, world
from tests.parts.upstream import PlainAgent, TalkingAgent, talking_agent

from lambdaagent.gateway.http.sse import Streams

BOTH = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
NEW = WAYS[0]


def chunk(text: str, *, append: bool) -> dict[str, object]:
    return {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": text}]}, "append": append}}


def status(state: str) -> dict[str, object]:
    return {"statusUpdate": {"status": {"state": f"TASK_STATE_{state}"}}}


@pytest.fixture
async def talking(gateway: World) -> Any:
    async with talking_agent() as container:
        gateway.agent(url=container.url)
        yield container


async def running(gateway: World) -> str:
    """Starts a task on which its agent works, and returns its id."""
    sent = await gateway.rpc("SendMessage", {"message": message(), "configuration": {"returnImmediately": True}})
    return str(sent["result"]["task"]["id"])


def kind(way: Way, event: Event) -> str:
    value = way.unwrap(event.data)
    return str(value["kind"]) if way.name == "0.3 JSON-RPC" else next(iter(value))


@BOTH
async def test_a_stream_has_the_task_then_its_updates_and_ends_with_it(
    gateway: World, talking: TalkingAgent, way: Way
) -> None:
    talking.say(chunk("one ", append=False), chunk("two", append=True), status("COMPLETED"), None)
    async with way.ask(gateway, "stream") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-cache"
        assert "X-Request-Id" in response.headers
        got = [event async for event in events(response)]
    kinds = [kind(way, event) for event in got]
    plain = ["task", "artifactUpdate", "artifactUpdate", "statusUpdate"]
    assert kinds == (["task", "artifact-update", "artifact-update", "status-update"] if way == WAYS[2] else plain)
    for event in got:
        way.check("StreamResponse", "SendStreamingMessageResponse", _whole(way, event))
    assert len({event.id for event in got}) == len(got)
    if way.version == "0.3":
        last = way.unwrap(got[-1].data)
        assert (last if way == WAYS[2] else last["statusUpdate"])["final"] is True
    else:
        assert "final" not in str(got)


def _whole(way: Way, event: Event) -> Any:
    return event.data if way == WAYS[2] else way.unwrap(event.data)


@BOTH
async def test_a_sent_stream_ends_where_the_task_waits_and_a_subscription_goes_on(
    gateway: World, talking: TalkingAgent, way: Way
) -> None:
    talking.say(status("INPUT_REQUIRED"), None)
    async with way.ask(gateway, "stream") as response:
        first = [event async for event in events(response)]
    task_id = way.task(way.unwrap(first[0].data))["id"]
    async with way.ask(gateway, "subscribe", task=task_id) as response:
        assert response.content_type == "text/event-stream"
        reading = events(response)
        snapshot = way.task(way.unwrap((await anext(reading)).data))
        assert snapshot["id"] == task_id
        talking.say(status("COMPLETED"), None)
        await gateway.rpc("SendMessage", {"message": message("go on", taskId=task_id)})
        rest = [event async for event in reading]
    assert "completed" in rest[-1].raw.decode().lower()
    if way == WAYS[2]:
        assert [event.data["result"]["final"] for event in rest] == [False, True]


async def test_two_subscribers_get_the_same_bytes_and_one_may_leave(gateway: World, talking: TalkingAgent) -> None:
    task_id = await running(gateway)
    async with NEW.ask(gateway, "subscribe", task=task_id) as one, NEW.ask(gateway, "subscribe", task=task_id) as two:
        async with NEW.ask(gateway, "subscribe", task=task_id) as third:
            await anext(events(third))
        talking.say(chunk("x", append=False), status("COMPLETED"), None)
        first = [event.raw async for event in events(one)]
        second = [event.raw async for event in events(two)]
    assert first == second
    assert len(first) == 3


async def test_a_reader_that_comes_back_goes_on_after_its_last_event(gateway: World, talking: TalkingAgent) -> None:
    task_id = await running(gateway)
    async with NEW.ask(gateway, "subscribe", task=task_id) as response:
        talking.say(chunk("one", append=False))
        reading = events(response)
        await anext(reading)
        last = await anext(reading)
    talking.say(chunk("two", append=True), status("COMPLETED"), None)
    async with NEW.ask(gateway, "subscribe", task=task_id, headers={"Last-Event-ID": last.id}) as response:
        rest = [event async for event in events(response)]
    assert [kind(NEW, event) for event in rest] == ["artifactUpdate", "statusUpdate"]
    ended = rest[-1].id
    async with NEW.ask(gateway, "subscribe", task=task_id, headers={"Last-Event-ID": ended}) as response:
        assert [event async for event in events(response)] == []
        assert response.status == 200


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1]], ids=lambda way: way.name)
async def test_a_reader_that_has_everything_gets_the_head_and_pings_at_once(way: Way) -> None:
    async with world(streams=Streams(ping=0.02)) as gateway, talking_agent() as talking:
        gateway.agent(url=talking.url)
        task_id = await running(gateway)
        async with NEW.ask(gateway, "subscribe", task=task_id) as response:
            newest = (await anext(events(response))).id
        async with asyncio.timeout(20):
            async with way.ask(gateway, "subscribe", task=task_id, headers={"Last-Event-ID": newest}) as response:
                assert response.status == 200
                lines = [await response.content.readline() for _ in range(4)]
                assert b": ping\n" in lines
                talking.say(chunk("x", append=False), status("COMPLETED"), None)
                assert b"COMPLETED" in (await response.read()).upper()


@pytest.mark.parametrize("last", ["99", "99.1", "999999999"])
async def test_an_event_id_beyond_the_end_is_an_error(gateway: World, talking: TalkingAgent, last: str) -> None:
    task_id = await running(gateway)
    async with NEW.ask(gateway, "subscribe", task=task_id, headers={"Last-Event-ID": last}) as response:
        answer = await response.json()
    assert answer["error"]["code"] == -32602
    assert "Last-Event-ID" in answer["error"]["message"]
    talking.say(status("COMPLETED"), None)


async def test_a_client_that_leaves_ends_only_its_reading(gateway: World, talking: TalkingAgent) -> None:
    async with NEW.ask(gateway, "stream") as response:
        task_id = (await anext(events(response))).data["result"]["task"]["id"]
        response.close()
    talking.say(chunk("x", append=False), status("COMPLETED"), None)
    assert (await gateway.ended(task_id))["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_silent_stream_is_commented_now_and_then() -> None:
    async with world(streams=Streams(ping=0.02)) as gateway, talking_agent() as container:
        gateway.agent(url=container.url)
        async with NEW.ask(gateway, "stream") as response:
            lines = [await response.content.readline() for _ in range(7)]
            assert b": ping\n" in lines
            container.say(status("COMPLETED"), None)
            assert "COMPLETED" in (await response.content.read()).decode()


async def test_a_gateway_that_stops_ends_its_streams_properly_and_at_once(container: PlainAgent) -> None:
    async with talking_agent() as talking, world() as gateway:
        gateway.agent(url=talking.url)
        streams: Streams = gateway.streams
        catalogue = gateway.session.get(f"{gateway.url}/agents", headers={"Accept": "text/event-stream"})
        async with NEW.ask(gateway, "stream") as response, catalogue as agents:
            await response.content.readline()
            await agents.content.readline()
            assert streams.open == 2
            streams.stop()
            async with asyncio.timeout(20):
                await response.content.read()
                await agents.content.read()
            assert streams.open == 0


@BOTH
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_what_is_wrong_before_a_stream_begins_is_no_stream(echo: World, way: Way, accept: str) -> None:
    ended = way.task(await way.answer(echo, "send"))["id"]
    for task_id, code, http in (("nobody", -32001, 404), (ended, -32004, 400)):
        async with way.ask(echo, "subscribe", task=task_id, headers={"Accept": accept}) as response:
            if way == WAYS[2] and accept == "text/event-stream":
                # The clients of 0.3 read nothing else.
                (event,) = [event async for event in events(response)]
                assert (response.status, event.data["error"]["code"]) == (200, code)
                continue
            body = await response.json()
            assert (response.status, body["error"]["code"]) == ((http, http) if way.rest else (200, code))


async def test_rest_is_subscribed_to_by_get_too(gateway: World, talking: TalkingAgent) -> None:
    task_id = await running(gateway)
    for prefix in ("", "/acme", "/v1"):
        url = f"{gateway.url}/agents/shop/echo/api/a2a{prefix}/tasks/{task_id}:subscribe"
        async with gateway.session.get(url) as response:
            assert response.content_type == "text/event-stream"
            assert (await anext(events(response))).data["task"]["id"] == task_id


@BOTH
async def test_an_engine_that_breaks_under_a_stream_says_so_in_it(
    gateway: World, talking: TalkingAgent, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> Any:
        from lambdaagent.tasks.requests import StreamEvent

        yield StreamEvent("0", {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}})
        raise RuntimeError("secret inside")

    monkeypatch.setattr(gateway.engine, "stream", broken)
    async with way.ask(gateway, "stream") as response:
        got = [event async for event in events(response)]
    assert got[-1].data["error"]["code"] == (500 if way.rest else -32603)
    assert got[-1].event == ("error" if way.rest else "")
    assert "secret" not in str(got)
