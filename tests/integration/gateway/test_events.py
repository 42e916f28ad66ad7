"""Events in and out: confirmed before they are accepted, and never lost on the way."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.parts import cloudevent_bodies
from tests.parts.gateway import World, message, skill, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.events import http
from lambdaagent.events.capability import sign
from lambdaagent.events.cloudevents import Event
from lambdaagent.store.records import Letters

CREATED = Event(id="1", source="/s", type="created", data=b'{"a": 1}', datacontenttype="application/json")


async def post(gateway: World, path: str, carried: tuple[http.Headers, bytes], **more: str) -> Any:
    headers, body = carried
    return await gateway.request("POST", path, headers={**dict(headers), **more}, data=body)


@pytest.mark.parametrize(
    "write",
    [http.binary, cloudevent_bodies.structured, lambda event: cloudevent_bodies.batch([event])],
    ids=["binary", "structured", "batch"],
)
async def test_an_event_is_taken_in_every_mode_as_it_is(gateway: World, write: Any) -> None:
    queue = gateway.broker.bind("shop/shared", "created")
    response = await post(gateway, "/events/shop", write(CREATED))
    assert (response.status, response.headers["LambdaAgent-Routed"]) == (202, "1")
    assert queue == [CREATED]


async def test_a_batch_counts_what_was_routed(gateway: World) -> None:
    gateway.broker.bind("shop/shared", "created")
    other = Event(id="2", source="/s", type="nobody wants this")
    response = await post(gateway, "/events/shop", cloudevent_bodies.batch([CREATED, other, CREATED]))
    assert (response.status, response.headers["LambdaAgent-Routed"]) == (202, "2")


async def test_the_carriers_trace_joins_an_event_that_has_none(gateway: World) -> None:
    queue = gateway.broker.bind("shop/shared", "created")
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await post(gateway, "/events/shop", http.binary(CREATED), traceparent=parent)
    assert queue[0].extensions["traceparent"] == parent


async def test_a_broker_that_is_down_is_a_503_and_nothing_is_accepted(gateway: World) -> None:
    gateway.broker.down = True
    for carried in (http.binary(CREATED), cloudevent_bodies.batch([CREATED, CREATED])):
        response = await post(gateway, "/events/shop", carried)
        assert (response.status, response.content_type) == (503, "application/problem+json")
        assert "Retry-After" in response.headers


@pytest.mark.parametrize("missing", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
async def test_a_missing_attribute_is_a_400_that_names_it(gateway: World, missing: str) -> None:
    headers = {name: value for name, value in http.binary(CREATED)[0] if name != missing}
    response = await gateway.request("POST", "/events/shop", headers=headers, data=b"")
    problem = await response.json()
    assert (response.status, problem["attribute"]) == (400, missing[3:])


async def test_what_is_no_event_is_a_400(gateway: World) -> None:
    assert (await gateway.request("POST", "/events/shop", json={})).status == 400
    assert (
        await gateway.request("POST", "/events/shop", data=b"{", headers={"Content-Type": http.STRUCTURED})
    ).status == 400
    assert (await gateway.request("GET", "/events/shop")).status == 405
    assert (await gateway.request("POST", "/events/No%20Namespace", json={})).status == 404


async def test_a_dedicated_broker_has_a_path_of_its_own(gateway: World) -> None:
    queue = gateway.broker.bind("shop/mine", "created")
    assert (await post(gateway, "/events/shop/brokers/mine", http.binary(CREATED))).status == 202
    assert queue == [CREATED]


async def test_an_agents_event_advances_its_task_and_is_published(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (202, {}, b"")
    queue = echo.broker.bind("shop/shared", "io.knative.lambda.response.success")
    waiting = asyncio.create_task(echo.rpc("SendMessage", {"message": message()}))
    await eventually(lambda: container.seen)
    task_id = container.seen[0].headers["ce-a2ataskid"]
    answer = Event(
        id="9",
        source="/echo",
        type="io.knative.lambda.response.success",
        data=b"done",
        extensions={"a2ataskid": task_id},
    )
    response = await post(echo, "/events/shop/from/echo", http.binary(answer), **{"content-type": "text/plain"})
    assert response.status == 202
    task = (await waiting)["result"]["task"]
    assert (task["status"]["state"], task["artifacts"][0]["parts"]) == ("TASK_STATE_COMPLETED", [{"text": "done"}])
    assert [event.id for event in queue] == ["9"]
    # Sent again, because the answer was lost: published again, and the task is as it was.
    assert (await post(echo, "/events/shop/from/echo", http.binary(answer))).status == 202
    assert (await echo.rpc("GetTask", {"id": task["id"]}))["result"] == task


async def test_another_agents_event_does_not_touch_the_task(echo: World, container: PlainAgent) -> None:
    echo.agent("thief", url=container.url)
    container.respond = lambda seen: (202, {}, b"")
    params = {"message": message(), "configuration": {"returnImmediately": True}}
    task = (await echo.rpc("SendMessage", params))["result"]["task"]
    stolen = Event(id="9", source="/x", type="io.knative.lambda.response.success", extensions={"a2ataskid": task["id"]})
    assert (await post(echo, "/events/shop/from/thief", http.binary(stolen))).status == 202
    assert (await echo.rpc("GetTask", {"id": task["id"]}))["result"]["status"]["state"] == "TASK_STATE_WORKING"
    assert b'task_events_total{outcome="foreign"} 1.0' in await (await echo.request("GET", "/metrics")).read()


async def test_an_unknown_agent_cannot_speak_and_is_retried_for(gateway: World) -> None:
    assert (await post(gateway, "/events/shop/from/nobody", http.binary(CREATED))).status == 404
    assert (await post(gateway, "/events/shop/to/nobody", http.binary(CREATED))).status == 503


async def test_a_trigger_delivers_an_event_as_it_is_and_the_answers_event_goes_on(
    echo: World, container: PlainAgent
) -> None:
    reply = Event(id="r", source="/echo", type="replied", data=b"x")
    queue = echo.broker.bind("shop/shared", "replied")
    container.respond = lambda seen: (200, dict(http.binary(reply)[0]), reply.data)
    assert (await post(echo, "/events/shop/to/echo", http.binary(CREATED))).status == 202
    seen = container.seen[0]
    assert (seen.path, seen.headers["ce-id"], seen.body) == ("/", "1", b'{"a": 1}')
    assert [(event.id, event.data) for event in queue] == [("r", b"x")]


@pytest.mark.parametrize("status", [404, 408, 409, 425, 429, 500, 503])
async def test_what_may_work_later_is_a_503_so_that_the_broker_tries_again(
    echo: World, container: PlainAgent, status: int
) -> None:
    container.respond = lambda seen: (status, {}, b"")
    assert (await post(echo, "/events/shop/to/echo", http.binary(CREATED))).status == 503
    assert await echo.store.find_letters(Letters("shop")) == []


@pytest.mark.parametrize("status", [301, 400, 403, 413, 422])
async def test_what_never_will_is_buried_and_accepted(echo: World, container: PlainAgent, status: int) -> None:
    container.respond = lambda seen: (status, {}, b"")
    assert (await post(echo, "/events/shop/to/echo", http.binary(CREATED))).status == 202
    letter = (await echo.store.find_letters(Letters("shop")))[0]
    assert (letter.agent, letter.attributes["id"], letter.data) == ("echo", "1", b'{"a": 1}')
    assert str(status) in letter.reason


async def test_the_agents_own_wish_for_time_is_passed_on(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (429, {"Retry-After": "17"}, b"")
    response = await post(echo, "/events/shop/to/echo", http.binary(CREATED))
    assert (response.status, response.headers["Retry-After"]) == (503, "17")


async def test_a_retry_after_of_any_length_is_some_time(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (503, {"Retry-After": "9" * 400}, b"")
    response = await post(echo, "/events/shop/to/echo", http.binary(CREATED))
    assert (response.status, response.headers["Retry-After"]) == (503, "86400")


async def test_an_agent_that_is_down_or_not_ready_is_tried_again(gateway: World) -> None:
    gateway.agent(url="http://127.0.0.1:1")
    assert (await post(gateway, "/events/shop/to/echo", http.binary(CREATED))).status == 503
    gateway.agent(url=None)
    assert (await post(gateway, "/events/shop/to/echo", http.binary(CREATED))).status == 503


async def test_a_poison_event_is_buried_with_all_that_was_sent(echo: World, container: PlainAgent) -> None:
    headers = {"ce-id": "7", "ce-specversion": "1.0", "content-type": "x/y"}
    for path in ("/events/shop/to/echo", "/events/shop/dead-letters"):
        assert (await echo.request("POST", path, headers=headers, data=b"\xff")).status == 202
    letters = await echo.store.find_letters(Letters("shop"))
    assert [(letter.agent, letter.data) for letter in letters] == [("", b"\xff"), ("echo", b"\xff")]
    assert letters[0].attributes["id"] == "7"
    assert "'source'" in letters[0].reason
    assert container.seen == []


async def test_an_answer_that_is_a_broken_event_does_not_undo_the_delivery(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (200, {"ce-id": "1"}, b"")
    assert (await post(echo, "/events/shop/to/echo", http.binary(CREATED))).status == 202


async def test_dead_letters_are_kept_once_with_where_they_failed(gateway: World) -> None:
    dead = Event(
        id="1",
        source="/s",
        type="t",
        data=b"x",
        extensions={"knativeerrordest": "http://echo", "knativeerrorcode": 500},
    )
    for _ in range(2):
        assert (await post(gateway, "/events/shop/dead-letters", http.binary(dead))).status == 202
    assert (await post(gateway, "/events/shop/dead-letters", http.binary(CREATED), **{"ce-id": "2"})).status == 202
    letters = await gateway.store.find_letters(Letters("shop"))
    assert [letter.reason for letter in letters] == ["not delivered", "not delivered to http://echo (last answer: 500)"]


@pytest.mark.parametrize("code", ["9" * 5000, str(2**31), str(2**70), "\u0663"])
async def test_a_letter_whose_code_is_no_number_of_ours_is_kept(tmp_path: Path, code: str) -> None:
    dead = replace(CREATED, extensions={"knativeerrordest": "http://echo", "knativeerrorcode": code})
    async with world(database=tmp_path / "letters.db") as gateway:
        assert (await post(gateway, "/events/shop/dead-letters", cloudevent_bodies.structured(dead))).status == 202
        assert [letter.code for letter in await gateway.store.find_letters(Letters("shop"))] == [-1]


async def test_an_agents_event_with_a_type_that_is_no_text_does_not_hide_its_task(
    echo: World, container: PlainAgent
) -> None:
    container.respond = lambda seen: (202, {}, b"")
    task = (await echo.rpc("SendMessage", {"message": message(), "configuration": {"returnImmediately": True}}))[
        "result"
    ]["task"]
    lines = [
        "POST /events/shop/from/echo HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 1",
        "ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: io.knative.lambda.response.success",
        f"ce-a2ataskid: {task['id']}",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", int(echo.url.rpartition(":")[2]))
    writer.write("\r\n".join(lines).encode() + b"\r\nContent-Type: app/\xff\r\n\r\nx")
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()
    (found,) = (await echo.rpc("ListTasks", {}))["result"]["tasks"]
    assert found["id"] == task["id"]


KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}


async def test_with_keys_an_event_url_needs_its_own_capability(container: PlainAgent) -> None:
    async with world(keys=KEYS) as gateway:
        gateway.agent(url=container.url)
        gateway.broker.bind("shop/shared", "created")
        for use, path, agent in (
            ("from", "from/echo", "echo"),
            ("to", "to/echo", "echo"),
            ("dead-letters", "dead-letters", ""),
        ):
            good = sign(KEYS, namespace="shop", use=use, agent=agent)
            old = sign({"k1": KEYS["k1"]}, namespace="shop", use=use, agent=agent)
            other = sign(KEYS, namespace="shop", use="other", agent=agent)
            statuses = [
                (await post(gateway, f"/events/shop/{path}{end}", http.binary(CREATED))).status
                for end in (f"/{good}", f"/{old}", f"/{other}", "/junk", "")
            ]
            assert statuses == [202, 202, 403, 403, 403]
        refused = await post(gateway, "/events/shop/from/echo/k1.secret", http.binary(CREATED))
        assert b"secret" not in await refused.read()
        assert (await post(gateway, "/events/shop", http.binary(CREATED))).status == 202


async def test_without_keys_a_capability_is_not_looked_at(echo: World) -> None:
    assert (await post(echo, "/events/shop/from/echo/k1.anything", http.binary(CREATED))).status == 202


async def test_a_letter_of_a_broken_event_keeps_json_serialisable_headers(gateway: World) -> None:
    response = await gateway.request("POST", "/events/shop/dead-letters", headers={"ce-x": "ü" * 10}, data=b"")
    assert response.status == 202
    assert orjson.dumps(dict((await gateway.store.find_letters(Letters("shop")))[0].attributes))


async def test_a_call_that_the_engine_cannot_take_now_is_said_to_be_no_attempt(
    gateway: World, container: PlainAgent
) -> None:
    gateway.agent(url=container.url, skills=[skill("later", invoke={"mode": "async", "eventType": "do.it"})])
    call = replace(CREATED, type="do.it", extensions={"a2aagent": "echo"})
    response = await post(gateway, "/events/shop/to/echo", http.binary(call))
    assert (response.status, response.headers["LambdaAgent-Attempted"]) == (503, "no")
    assert "Retry-After" in response.headers
    assert container.seen == []
