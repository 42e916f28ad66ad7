"""What clients and containers send in too great a number or depth: refused shortly, while others are served.

Every case looks at the size of the answer and at the lag of the gateway's loop.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from tests.integration.gateway.lag import Watched, watched_gateway
from tests.parts.gateway import manifest, skill
from tests.parts.upstream import PlainAgent, plain_agent

MOST_LAG = 0.05  # seconds of processor time in one turn of the loop
MOST_ANSWER = 64 * 1024
MIB = 1024 * 1024
BASE = "/agents/shop/echo/api/a2a"
JSON = {"Content-Type": "application/json"}
V1 = JSON | {"A2A-Version": "1.0"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
EVENT = {"Content-Type": "application/cloudevents+json"}


@pytest.fixture(scope="module")
def agent() -> Iterator[PlainAgent]:
    with plain_agent() as found:
        yield found


@pytest.fixture
def gateway(agent: PlainAgent) -> Iterator[Watched]:
    agent.respond = None
    with watched_gateway() as found:

        async def add(world: Any) -> None:
            a2a = {"enabled": True, "skills": [skill("say")]}
            world.add(manifest("echo", a2a=a2a, eventing={"enabled": True}), url=agent.url)
            world.broker.bind("shop/shared", "t")

        found.run(add)
        found.begin()
        yield found


# No https is spoken here, and a context that knows the world's authorities takes longer to make than most answers.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def post(gateway: Watched, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(gateway.world.url + path, content=body, headers=headers, timeout=30, verify=TLS)


def rpc(
    parts: bytes, *, method: str = "SendMessage", name: str = "parts", more: bytes = b"", message: bytes = b""
) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"%b","params":{"message":{"messageId":"m","role":"ROLE_USER","%b":%b%b}%b}}'
        % (method.encode(), name.encode(), parts, message, more)
    )


def rest(parts: bytes, *, name: str = "parts") -> bytes:
    return b'{"message":{"messageId":"m","role":"ROLE_USER","%b":%b}}' % (name.encode(), parts)


def many(element: bytes, *, size: int = 6 * MIB) -> bytes:
    return b"[" + b",".join([element] * (size // (len(element) + 1))) + b"]"


def members(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":1' % n for n in range(count)) + b"}"


TEXT = b'[{"text":"x"}]'
Body = Callable[[], bytes]
"""Made when its test runs: every worker of a run collects every case."""
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
    gateway: Watched, path: str, body: Body, headers: dict[str, str]
) -> None:
    content = body()
    answer = gateway.least(lambda: post(gateway, path, content, headers), most=MOST_LAG)
    said = answer.json()
    assert "error" in said or said["status"] in (400, 413), said
    assert answer.status_code < 500
    assert len(answer.content) < MOST_ANSWER
    assert gateway.worst < MOST_LAG


def test_the_first_violations_are_named_and_the_others_counted(gateway: Watched) -> None:
    answer = post(gateway, BASE, rpc(many(b"{}", size=1500)), V1).json()["error"]
    (details,) = [each for each in answer["data"] if "fieldViolations" in each]
    assert len(details["fieldViolations"]) == 20
    assert answer["message"].count("message.parts[") == 20
    assert "and 480 more" in answer["message"]


def test_bounds_are_settings(agent: PlainAgent) -> None:
    with watched_gateway(max_parts=2, max_batch=2) as found:

        async def add(world: Any) -> None:
            world.add(manifest("echo", a2a={"enabled": True, "skills": [skill("say")]}), url=agent.url)

        found.run(add)
        assert "at most 2" in post(found, BASE, rpc(many(TEXT[1:-1], size=40)), V1).json()["error"]["message"]
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
def test_what_is_large_and_allowed_is_taken(gateway: Watched, agent: PlainAgent, parts: Body) -> None:
    agent.respond = lambda _: (200, {"Content-Type": "text/plain"}, b"ok")
    more = b',"configuration":{"historyLength":0}'
    answer = post(gateway, BASE, rpc(parts(), more=more), V1).json()
    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(orjson.dumps(answer)) < MOST_ANSWER


def test_a_batch_of_a_thousand_events_is_taken_in_slices(gateway: Watched) -> None:
    event = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"%b"}' % (b"x" * 5000)
    batch = b"[" + b",".join([event] * 1000) + b"]"
    answer = gateway.least(lambda: post(gateway, "/events/shop", batch, BATCH), most=MOST_LAG)
    assert (answer.status_code, answer.headers["LambdaAgent-Routed"]) == (202, "1000")
    assert gateway.worst < MOST_LAG


A2A_JSON = {"Content-Type": "application/a2a+json"}
STREAM = {"Content-Type": "text/event-stream"}


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def artifact(part: bytes) -> bytes:
    return b'{"artifactUpdate":{"artifact":{"artifactId":"a","parts":%b}}}' % part


ANSWERS = [
    *(pytest.param(JSON, lambda n=n: deep(n), id=f"{n} levels") for n in (240, 250, 300, 1000, 1100, 100_000)),
    *(
        pytest.param(A2A_JSON, lambda n=n: artifact(b'[{"data":%b}]' % deep(n)), id=f"A2A, {n} levels")
        for n in (240, 300, 1100)
    ),
    *(
        pytest.param(
            STREAM, lambda n=n: b"data: " + artifact(b'[{"data":%b}]' % deep(n)) + b"\n\n", id=f"a stream, {n} levels"
        )
        for n in (240, 300)
    ),
    pytest.param(A2A_JSON, lambda: artifact(many(b"{}")), id="A2A, 6 MB of empty parts"),
    pytest.param(A2A_JSON, lambda: artifact(many(b"{}", size=20_000)), id="A2A, 6,000 bad parts"),
    pytest.param(JSON, lambda: members(800_000), id="800,000 members"),
    pytest.param(JSON, lambda: many(b"{}"), id="6 MB of empty objects"),
    pytest.param(BATCH, lambda: many(b'{"id":"1"}'), id="600,000 events"),
    pytest.param({"Content-Type": "application/json"}, lambda: b'"\\ud800"', id="half a surrogate pair"),
]


TEXTS = b'{"artifacts":%b,"status":{"state":"completed"}}'
ANSWERS += [
    pytest.param(
        A2A_JSON,
        lambda: b'{"task":%b}' % (TEXTS % many(b'{"parts":[{"text":"a"}]}', size=600_000)),
        id="23,000 artifacts",
    ),
    pytest.param(
        STREAM, lambda: b"data: {\n\n" + b"data: %b\n\n" % artifact(b"[1]") * 3000, id="bad artifacts in a stream"
    ),
]


@pytest.mark.parametrize(("headers", "body"), ANSWERS)
def test_an_answer_without_bound_fails_its_own_task_and_holds_nobody_up(
    gateway: Watched, agent: PlainAgent, headers: dict[str, str], body: Body
) -> None:
    content = body()
    agent.respond = lambda _: (200, headers, content)
    answer = gateway.least(lambda: post(gateway, BASE, rpc(TEXT), V1), most=MOST_LAG)
    task = answer.json()["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "cannot be understood" in task["status"]["message"]["parts"][0]["text"]
    assert len(answer.content) < MOST_ANSWER
    assert gateway.worst < MOST_LAG


STREAMS = [
    pytest.param(lambda: b"data: x\n\n" * 20_000, "COMPLETED", "", id="20,000 events at once"),
    pytest.param(lambda: b"data: " + b"\r" * 1_000_000, "COMPLETED", "", id="1,000,000 empty lines"),
    pytest.param(lambda: b"data: x\n" * 400_000 + b"\n", "COMPLETED", "", id="an event of 400,000 lines"),
    pytest.param(
        lambda: b"".join(
            b"data: %b\n\n" % artifact(b'[{"text":"x"}]').replace(b'"a"', b'"%d"' % n) for n in range(1_500)
        ),
        "FAILED",
        "more than 1000 artifacts",
        id="1,500 artifacts",
    ),
    pytest.param(
        lambda: (b"data: " + b"x" * (2 * MIB) + b"\n\n") * 20,
        "FAILED",
        "larger than 33554432 bytes",
        id="40 MB of text",
    ),
]


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(("body", "state", "why"), STREAMS)
def test_a_stream_of_very_many_or_very_large_pieces_holds_nobody_up_and_its_task_is_bounded(
    gateway: Watched, agent: PlainAgent, status: int, body: Body, state: str, why: str
) -> None:
    content = body()
    agent.respond = lambda _: (status, STREAM, content)
    more = b',"configuration":{"returnImmediately":true,"historyLength":0}'
    task_id = post(gateway, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]["id"]
    listed = b'{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{"historyLength":0}}'

    def ended() -> bool:
        (task,) = (each for each in post(gateway, BASE, listed, V1).json()["result"]["tasks"] if each["id"] == task_id)
        found: dict[str, Any] = task["status"]
        said = found.get("message", {}).get("parts", [{"text": ""}])[0]["text"]
        return found["state"] == f"TASK_STATE_{state}" and why in said

    deadline = time.monotonic() + 20
    while not ended():
        assert time.monotonic() < deadline
    assert gateway.worst < MOST_LAG


def test_a_page_of_large_tasks_is_shorter(gateway: Watched, agent: PlainAgent) -> None:
    agent.respond = lambda _: (200, {"Content-Type": "text/plain"}, b"x" * (3 * MIB))
    for _ in range(5):
        post(gateway, BASE, rpc(TEXT, more=b',"configuration":{"historyLength":0}'), V1)
    gateway.worst, token, sizes = 0.0, "", []
    while token or not sizes:
        params = {"includeArtifacts": True, "pageToken": token}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
        page = post(gateway, BASE, json.dumps(asked).encode(), V1).json()["result"]
        token = page["nextPageToken"]
        sizes.append(len(page["tasks"]))
    assert sizes == [2, 2, 1]
    assert page["totalSize"] == 5
    assert gateway.worst < MOST_LAG


@pytest.mark.parametrize("levels", [240, 300, 1100])
def test_an_event_of_an_agent_that_is_nested_too_deep_ends_its_task(
    gateway: Watched, agent: PlainAgent, levels: int
) -> None:
    agent.respond = lambda _: (202, {}, b"")
    more = b',"configuration":{"returnImmediately":true}'
    task = post(gateway, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]
    attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "io.knative.lambda.response.success"}
    headers = {f"ce-{name}": value for name, value in {**attributes, "a2ataskid": task["id"]}.items()}
    answer = post(gateway, "/events/shop/from/echo", deep(levels), headers | JSON)
    assert answer.status_code == 202, answer.text
    found = post(
        gateway,
        BASE,
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": task["id"]}}).encode(),
        V1,
    ).json()["result"]
    assert found["status"]["state"] == "TASK_STATE_FAILED"
    assert gateway.worst < MOST_LAG


def event(n: int, **more: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": str(n), "source": "/s", "type": "t", "data": "x" * 5000, **more}


def test_a_batch_of_a_thousand_events_is_an_answer_that_holds_nobody_up(gateway: Watched, agent: PlainAgent) -> None:
    agent.respond = lambda _: (200, BATCH, json.dumps([event(n) for n in range(1000)]).encode())
    request = rpc(TEXT, more=b',"configuration":{"historyLength":0}')
    answer = gateway.least(lambda: post(gateway, BASE, request, V1), most=MOST_LAG).json()
    assert len(answer["result"]["task"]["artifacts"]) == 1000
    assert gateway.worst < MOST_LAG


def test_a_batch_of_a_thousand_events_of_one_task_holds_nobody_up(gateway: Watched, agent: PlainAgent) -> None:
    agent.respond = lambda _: (202, {}, b"")
    more = b',"configuration":{"returnImmediately":true}'
    task = post(gateway, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]
    body = json.dumps([event(n, a2ataskid=task["id"]) for n in range(1000)]).encode()
    assert post(gateway, "/events/shop/from/echo", body, BATCH).status_code == 202
    assert gateway.worst < MOST_LAG


def test_a_search_for_a_long_text_among_many_agents_holds_nobody_up(gateway: Watched) -> None:
    async def add(world: Any) -> None:
        a2a = {"enabled": True, "skills": [skill(f"s{n}") for n in range(5)]}
        for n in range(1000):
            world.add(manifest(f"a{n}", a2a=a2a), url="http://127.0.0.1:1")
            await asyncio.sleep(0)

    gateway.run(add)
    params = {"q": "\u0130" * 1200}
    answer = gateway.least(
        lambda: httpx.get(f"{gateway.world.url}/agents", params=params, timeout=30, verify=TLS), most=MOST_LAG
    )
    assert answer.json()["agents"] == []
    assert gateway.worst < MOST_LAG


@pytest.mark.parametrize("size", ["0" * 8 + "1" + "9" * 5000, "0000000019999999", "1001", "0", "-1", "1e1", "\u0661"])
def test_a_page_of_another_size_is_refused(gateway: Watched, size: str) -> None:
    answer = httpx.get(f"{gateway.world.url}/agents", params={"pageSize": size}, timeout=30)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:lambdaagent:problem:bad-page")
