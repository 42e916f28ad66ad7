"""Messages between agents of all kinds: accepted, delivered in the receiver's way, answered and acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from tests.parts.gateway import World, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, raw_server


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        yield found


async def call(gateway: World, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    more = {"json": body} if body is not None else {}
    found = await gateway.request(method, path, headers=headers, **more)
    return found.status, await found.json() if found.body else None


def envelope(to: Any = "bob", text: str = "hello", *, kind: str = "query", **metadata: Any) -> dict[str, Any]:
    content = {"type": kind, "data": {"query": text}}
    return {"from": "ann", "to": to, "content": content, "metadata": metadata}


async def registered(gateway: World, *names: str) -> None:
    for name in names:
        assert (await call(gateway, "POST", "/a2a/register", {"agent_id": name}))[0] in (200, 201)


async def mailbox(gateway: World, agent: str = "bob", wait: float = 0) -> list[Any]:
    status, found = await call(gateway, "GET", f"/a2a/messages?agent={agent}&wait={wait}")
    assert status == 200
    return list(found["messages"])


async def test_the_message_of_requirement_003_reaches_a_mailbox_and_its_answer_comes_back(gateway: World) -> None:
    await registered(gateway, "ann", "bob")
    status, receipt = await call(gateway, "POST", "/a2a/message", envelope() | {"conversation_id": "conv-123"})
    assert (status, receipt["type"], receipt["status"]) == (202, "agent_message_receipt", "sent")
    [found] = await mailbox(gateway)
    assert (found["from"], found["conversation_id"], found["content"]["data"]) == (
        "ann",
        "conv-123",
        {"query": "hello"},
    )
    answer = {
        "from": "bob",
        "to": "ann",
        "content": {"type": "response", "data": {"results": [1]}},
        "metadata": {"correlation_id": found["message_id"]},
    }
    assert (await call(gateway, "POST", "/a2a/message", answer))[0] == 202
    [back] = await mailbox(gateway, "ann")
    assert (back["content"]["data"], back["metadata"]["hops"]) == ({"results": [1]}, 1)
    assert (await call(gateway, "POST", f"/a2a/messages/{found['message_id']}/ack?agent=bob"))[0] == 204
    assert (await call(gateway, "GET", f"/a2a/messages/{found['message_id']}"))[1]["status"] == "acknowledged"


async def test_the_message_of_requirement_001_is_answered_in_its_columns(gateway: World) -> None:
    await registered(gateway, "bob")
    content = {"jsonrpc": "2.0", "method": "query", "params": {"sql": "select 1"}, "id": 1}
    body = {"sender_agent_id": "ann", "receiver_agent_id": "bob", "message_type": "request", "content": content}
    status, receipt = await call(gateway, "POST", "/a2a/message", body | {"session_id": "sess_1", "priority": 9})
    assert (status, receipt["message_id"][:4], receipt["session_id"]) == (202, "msg_", "sess_1")
    [found] = await mailbox(gateway)
    assert (found["message_type"], found["content"], found["metadata"]["priority"]) == ("request", content, 9)


async def test_a_container_is_woken_by_an_event_and_its_reply_is_the_answer(
    gateway: World, container: PlainAgent
) -> None:
    await registered(gateway, "ann")
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "r",
        "ce-type": "t",
        "ce-source": "/c",
        "content-type": "application/json",
    }
    container.respond = lambda _: (200, headers, b'{"found": 3}')
    await call(gateway, "POST", "/a2a/message", envelope("shop/echo"))
    [answer] = await mailbox(gateway, "ann", wait=10)
    assert (answer["from"], answer["content"]) == ("shop/echo", {"type": "response", "data": {"found": 3}})
    request = container.seen[-1]
    assert request.headers["ce-type"] == "io.knative.lambda.a2a.message"
    assert orjson.loads(request.body)["content"]["data"] == {"query": "hello"}


async def test_an_agent_that_is_down_gets_its_message_when_it_is_back(gateway: World, container: PlainAgent) -> None:
    answers = iter([503, 503, 204])
    container.respond = lambda _: (next(answers), {}, b"")
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("shop/echo"))

    async def acknowledged() -> bool:
        return (await call(gateway, "GET", f"/a2a/messages/{receipt['message_id']}"))[1]["status"] == "acknowledged"

    await eventually(acknowledged, within=30)
    assert len(container.seen) == 3


async def test_a_refusal_fails_the_delivery_and_names_the_cause(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (400, {}, b"")
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("shop/echo", confirmation="delivered"))

    async def failed() -> Any:
        found = (await call(gateway, "GET", f"/a2a/messages/{receipt['message_id']}"))[1]
        return found if found["status"] == "failed" else None

    found = await eventually(failed)
    assert found["receivers"] == [{"agent_id": "shop/echo", "status": "failed", "error": "the agent answered 400"}]
    [told] = await mailbox(gateway, "ann")
    assert told["content"]["data"]["confirmation"]["state"] == "failed"


async def test_an_a2a_agent_gets_a_task_whose_result_is_the_answer(gateway: World, container: PlainAgent) -> None:
    gateway.agent("caller", url=container.url, protocol="http")
    container.respond = lambda _: (200, {"content-type": "application/json"}, b'{"text": "done"}')
    await registered(gateway, "ann")
    await call(gateway, "POST", "/a2a/message", envelope("shop/caller", skill_id="say"))
    [answer] = await mailbox(gateway, "ann", wait=10)
    assert "done" in str(answer["content"]["data"])


async def test_a_list_a_topic_and_everybody(gateway: World) -> None:
    await registered(gateway, "ann", "bob", "carol", "dora")
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope(["bob", "carol", "nobody"]))
    assert receipt["rejected"] == [{"agent_id": "nobody", "reason": "unknown-agent"}]
    status, subscription = await call(gateway, "POST", "/a2a/subscriptions", {"agent_id": "dora", "topic": "news.*"})
    assert status == 201
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("topic:news.sport", kind="context"))
    assert [each["agent_id"] for each in receipt["receivers"]] == ["dora"]
    [found] = await mailbox(gateway, "dora")
    assert found["metadata"]["topic"] == "news.sport"
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("*", kind="context"))
    assert [each["agent_id"] for each in receipt["receivers"]] == ["bob", "carol", "dora", "shop/echo"]
    assert (await call(gateway, "DELETE", f"/a2a/subscriptions/{subscription['subscription_id']}"))[0] == 204
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("topic:news.sport"))
    assert receipt["receivers"] == []


async def test_a_long_poll_is_answered_as_soon_as_there_is_something(gateway: World) -> None:
    await registered(gateway, "bob")
    waiting = asyncio.create_task(mailbox(gateway, wait=30))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await call(gateway, "POST", "/a2a/message", envelope())
    async with asyncio.timeout(5):
        assert len(await waiting) == 1


async def test_the_same_message_twice_is_one_message(gateway: World) -> None:
    await registered(gateway, "bob")
    body = envelope() | {"message_id": "mine-1"}
    first, second = [await call(gateway, "POST", "/a2a/message", body) for _ in range(2)]
    assert (first[0], second[0], second[1]["message_id"]) == (202, 202, "mine-1")
    status, problem = await call(gateway, "POST", "/a2a/message", envelope(text="other") | {"message_id": "mine-1"})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:message-id-taken")
    assert len(await mailbox(gateway)) == 1


async def test_answers_to_answers_end(gateway: World) -> None:
    await registered(gateway, "ann", "bob")
    body, statuses = envelope(), []
    for _ in range(10):
        status, receipt = await call(gateway, "POST", "/a2a/message", body)
        statuses.append(status)
        body["metadata"]["causation_id"] = receipt.get("message_id")
    assert statuses == [202] * 9 + [508]


async def test_a_flood_to_one_receiver_is_refused_and_hinders_no_other(gateway: World) -> None:
    await registered(gateway, "bob", "carol")
    assert gateway.services.coordination is not None
    limits = gateway.services.coordination.messages.limits
    for number in range(limits.queue // 2):
        body = envelope() | {"message_id": f"m{number}"}
        assert (await call(gateway, "POST", "/a2a/message", body))[0] == 202
    answer = await gateway.request("POST", "/a2a/message", json=envelope())
    assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope(["bob", "carol"]))
    assert receipt["rejected"] == [{"agent_id": "bob", "reason": "queue-full"}]
    assert [each["agent_id"] for each in receipt["receivers"]] == ["carol"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "no message"),
        ({}, "no message"),
        ({"to": "bob"}, "from: "),
        (envelope() | {"to": []}, "to."),
        (envelope() | {"to": "a b"}, "to."),
        (envelope() | {"to": "topic:"}, "topic: "),
        (envelope() | {"to": "topic:a..b"}, "topic: "),
        (envelope() | {"content": {"type": "x"}}, "content.type: "),
        (envelope(priority=11), "metadata.priority: "),
        (envelope(priority="never"), "metadata.priority: "),
        (envelope(ttl=0), "metadata.ttl: "),
        (envelope(confirmation="yes"), "metadata.confirmation: "),
        (envelope() | {"message_id": "a b"}, "message_id: "),
        (envelope() | {"message_id": "~reply:m:bob"}, "message_id: "),
        (envelope() | {"unknown": 1}, "unknown: "),
        ({"message_type": "request", "sender_agent_id": "a", "content": {}}, "receiver_agent_id: is missing"),
    ],
)
async def test_a_wrong_message_is_refused_by_its_field(gateway: World, body: Any, said: str) -> None:
    status, problem = await call(gateway, "POST", "/a2a/message", body)
    assert (status, problem["type"]) == (400, "urn:lambdaagent:problem:bad-message")
    assert said in problem["detail"]


async def test_an_answer_that_cannot_be_kept_ends_its_delivery(gateway: World, container: PlainAgent) -> None:
    event = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "t",
        "content-type": "application/json",
    }
    container.respond = lambda _: (200, event, b'{"x": "\\u0000"}')
    gateway.agent("eventful", url=container.url, eventing={"enabled": True})
    _, receipt = await call(gateway, "POST", "/a2a/message", envelope("shop/eventful"))

    async def over() -> Any:
        [found] = (await call(gateway, "GET", f"/a2a/messages/{receipt['message_id']}"))[1]["receivers"]
        return found if found["status"] == "failed" else None

    assert "its answer cannot be kept" in (await eventually(over))["error"]
    assert len(container.seen) == 1


async def test_a_slow_receiver_keeps_no_worker_from_the_others(gateway: World, container: PlainAgent) -> None:
    hanging = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    assert gateway.services.coordination is not None
    limits = gateway.services.coordination.messages.limits
    container.respond = lambda _: (204, {}, b"")
    async with raw_server(hang) as url:
        gateway.agent("slow", url=url)
        for _ in range(limits.workers + 20):
            assert (await call(gateway, "POST", "/a2a/message", envelope("shop/slow")))[0] == 202
        _, receipt = await call(gateway, "POST", "/a2a/message", envelope("shop/echo"))

        async def acknowledged() -> bool:
            path = f"/a2a/messages/{receipt['message_id']}"
            return str((await call(gateway, "GET", path))[1]["status"]) == "acknowledged"

        await eventually(acknowledged, within=5)
        hanging.set()


async def test_a_page_of_a_mailbox_is_bounded_in_bytes(gateway: World) -> None:
    await registered(gateway, "bob")
    for _ in range(12):
        assert (await call(gateway, "POST", "/a2a/message", envelope(text="x" * 200_000)))[0] == 202
    status, found = await call(gateway, "GET", "/a2a/messages?agent=bob&limit=100")
    assert (status, 1 <= len(found["messages"]) <= 6) == (200, True)
    status, problem = await call(gateway, "POST", "/a2a/message", envelope(text="x" * 300_000))
    assert status == 400
    assert "send a reference" in problem["detail"]
