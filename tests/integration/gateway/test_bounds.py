"""Requests of too great a number, size or depth: they are refused shortly, while others are served.

Each test checks the size of the response and the lag of the gateway's event loop.
"""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from tests.parts.bounds import (
    BASE,
    BATCH,
    EVENT,
    JSON,
    MIB,
    MOST_ANSWER,
    TEXT,
    TLS,
    V1,
    Body,
    many,
    members,
    post,
    rest,
    rpc,
)
from tests.parts.gateway import manifest, skill
from tests.parts.lag import MOST_LAG, Watched, watched_gateway
from tests.parts.upstream import PlainAgent

REQUESTS = [
    pytest.param(BASE, lambda: rpc(many(b"{}")), V1, id="6 MB of empty parts"),
    pytest.param(BASE, lambda: rpc(many(b"{}"), method="message/send"), JSON, id="6 MB of empty parts, 0.3"),
    pytest.param(f"{BASE}/message:send", lambda: rest(many(b"{}")), V1, id="6 MB of empty parts, HTTP+JSON"),
    pytest.param(
        f"{BASE}/v1/message:send", lambda: rest(many(b"{}"), name="content"), JSON, id="6 MB of empty parts, 0.3 REST"
    ),
    pytest.param(BASE, lambda: rpc(many(b"1")), V1, id="6 MB of numbers for parts"),
    pytest.param(BASE, lambda: rpc(many(b"{}", size=3000)), V1, id="1,000 bad parts"),
    pytest.param(BASE, lambda: rpc(many(b'{"text":"x"}', size=500_000)), V1, id="38,000 good parts"),
    pytest.param(
        BASE, lambda: rpc(many(b'{"kind":"x"}', size=500_000), method="message/send"), JSON, id="38,000 parts, 0.3"
    ),
    pytest.param(
        BASE, lambda: rpc(TEXT, message=b',"extensions":' + many(b'"x"', size=MIB)), V1, id="260,000 extensions"
    ),
    pytest.param(
        BASE, lambda: rpc(TEXT, message=b',"extensions":' + many(b"1", size=MIB // 4)), V1, id="130,000 bad extensions"
    ),
    pytest.param(
        BASE, lambda: rpc(TEXT, message=b',"referenceTaskIds":' + many(b'"x"', size=MIB)), V1, id="260,000 references"
    ),
    pytest.param(
        BASE,
        lambda: rpc(TEXT, more=b',"configuration":{"acceptedOutputModes":' + many(b'"x"', size=MIB) + b"}"),
        V1,
        id="modes",
    ),
    pytest.param(
        BASE, lambda: rpc(TEXT, message=b',"metadata":' + members(800_000)), V1, id="800,000 members of metadata"
    ),
    pytest.param(BASE, lambda: rpc(b'[{"data":' + members(800_000) + b"}]"), V1, id="800,000 members of data"),
    pytest.param(BASE, lambda: rpc(b'[{"data":' + many(b"[]") + b"}]"), V1, id="2,000,000 empty arrays"),
    pytest.param(BASE, lambda: rpc(b'[{"data":' + many(b'""') + b"}]"), V1, id="2,000,000 empty strings"),
    pytest.param(BASE, lambda: members(800_000), V1, id="800,000 members of a request"),
    pytest.param(BASE, lambda: many(b"{}"), V1, id="a batch of requests"),
    *(
        pytest.param(BASE, lambda n=n: rpc(b'[{"data":' + b"[" * n + b"]" * n + b"}]"), V1, id=f"{n} levels")
        for n in (240, 300, 1000, 1100, 100_000, 3_000_000)
    ),
    *(
        pytest.param(
            BASE, lambda n=n: rpc(TEXT, message=b',"metadata":' + b'{"a":' * n + b"1" + b"}" * n), V1, id=f"{n} objects"
        )
        for n in (240, 300, 1100, 100_000)
    ),
    pytest.param("/events/shop", lambda: many(b'{"id":"1"}'), BATCH, id="600,000 bad events"),
    pytest.param(
        "/events/shop",
        lambda: many(b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}'),
        BATCH,
        id="110,000 good events",
    ),
    pytest.param("/events/shop", lambda: b"[" * 3_000_000, BATCH, id="a batch of brackets"),
    pytest.param(
        "/events/shop",
        lambda: b'[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":' + many(b"1") + b"}]",
        BATCH,
        id="an event of 3,000,000 numbers",
    ),
    pytest.param(
        "/events/shop", lambda: b'{"data":' + members(800_000) + b"}", EVENT, id="an event of 800,000 members"
    ),
    pytest.param("/events/shop", lambda: b'{"data":' + b"[" * 100_000, EVENT, id="an event of 100,000 levels"),
    pytest.param(
        "/events/shop",
        lambda: (
            b'{"specversion":"1.0","id":"1","source":"/s","type":"t",'
            + members(40_000)[1:].replace(b'"', b'"a', 40_000)
        ),
        EVENT,
        id="an event of 40,000 attributes",
    ),
    pytest.param(
        f"{BASE}/skills/say", lambda: many(b"{}"), JSON | {"Prefer": "respond-async"}, id="a skill call as a task"
    ),
]


@pytest.mark.parametrize(("path", "body", "headers"), REQUESTS)
def test_a_request_without_bound_is_refused_shortly_and_holds_nobody_up(
    watched: Watched, path: str, body: Body, headers: dict[str, str]
) -> None:
    content = body()
    answer = watched.least(lambda: post(watched, path, content, headers), most=MOST_LAG)
    said = answer.json()
    assert "error" in said or said["status"] in (400, 413), said
    assert answer.status_code < 500
    assert len(answer.content) < MOST_ANSWER
    assert watched.worst < MOST_LAG


def test_the_first_violations_are_named_and_the_others_counted(watched: Watched) -> None:
    answer = post(watched, BASE, rpc(many(b"{}", size=1500)), V1).json()["error"]
    (details,) = [each for each in answer["data"] if "fieldViolations" in each]
    assert len(details["fieldViolations"]) == 20
    assert answer["message"].count("message.parts[") == 20
    assert "and 480 more" in answer["message"]


def test_bounds_are_settings(watched_container: PlainAgent) -> None:
    with watched_gateway(max_parts=2, max_batch=2) as found:

        async def add(world: Any) -> None:
            world.add(manifest("echo", a2a={"enabled": True, "skills": [skill("say")]}), url=watched_container.url)

        found.run(add)
        assert "the maximum is 2" in post(found, BASE, rpc(many(TEXT[1:-1], size=40)), V1).json()["error"]["message"]
        assert "result" in post(found, BASE, rpc(many(TEXT[1:-1], size=28)), V1).json()
        event = b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}'
        assert post(found, "/events/shop", b"[%b,%b,%b]" % (event, event, event), BATCH).status_code == 413
        assert post(found, "/events/shop", b"[%b,%b]" % (event, event), BATCH).status_code == 202


BIG = 9 * MIB
ALLOWED = [
    pytest.param(lambda: b'[{"text":"%b"}]' % (b"word, " * (BIG // 6)), id="a long text with commas"),
    pytest.param(
        lambda: b'[{"text":"%b"}]' % (b'\\"[{,:' * (BIG // 6)), id="a long text of escaped quotes and brackets"
    ),
    pytest.param(lambda: b'[{"text":"%b"}]' % (b"\\\\" * (BIG // 2)), id="a long text of backslashes"),
    pytest.param(lambda: b'[{"raw":"%b"}]' % (b"AAAA" * (BIG // 4)), id="a large file"),
    pytest.param(lambda: b'[{"data":%b}]' % many(b"0.12345678901", size=5 * MIB), id="370,000 numbers"),
    pytest.param(lambda: b'[{"data":%b}]' % (b"[" * 190 + b"]" * 190), id="190 levels"),
    pytest.param(lambda: many(b'{"text":"x"}', size=13_000), id="1,000 parts"),
]


@pytest.mark.parametrize("parts", ALLOWED)
def test_what_is_large_and_allowed_is_taken(watched: Watched, watched_container: PlainAgent, parts: Body) -> None:
    watched_container.respond = lambda _: (200, {"Content-Type": "text/plain"}, b"ok")
    more = b',"configuration":{"historyLength":0}'
    answer = post(watched, BASE, rpc(parts(), more=more), V1).json()
    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(orjson.dumps(answer)) < MOST_ANSWER


def test_a_batch_of_a_thousand_events_is_taken_in_slices(watched: Watched) -> None:
    event = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"%b"}' % (b"x" * 5000)
    batch = b"[" + b",".join([event] * 1000) + b"]"
    answer = watched.least(lambda: post(watched, "/events/shop", batch, BATCH), most=MOST_LAG)
    assert (answer.status_code, answer.headers["LambdaAgent-Routed"]) == (202, "1000")
    assert watched.worst < MOST_LAG


def test_a_search_for_a_long_text_among_many_agents_holds_nobody_up(watched: Watched) -> None:
    async def add(world: Any) -> None:
        a2a = {"enabled": True, "skills": [skill(f"s{n}") for n in range(5)]}
        for n in range(1000):
            world.add(manifest(f"a{n}", a2a=a2a), url="http://127.0.0.1:1")
            await asyncio.sleep(0)

    watched.run(add)
    params = {"q": "\u0130" * 1200}
    answer = watched.least(
        lambda: httpx.get(f"{watched.world.url}/agents", params=params, timeout=30, verify=TLS), most=MOST_LAG
    )
    assert answer.json()["agents"] == []
    assert watched.worst < MOST_LAG


@pytest.mark.parametrize("size", ["0" * 8 + "1" + "9" * 5000, "0000000019999999", "1001", "0", "-1", "1e1", "\u0661"])
def test_a_page_of_another_size_is_refused(watched: Watched, size: str) -> None:
    answer = httpx.get(f"{watched.world.url}/agents", params={"pageSize": size}, timeout=30)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:lambdaagent:problem:bad-page")
