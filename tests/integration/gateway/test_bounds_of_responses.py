"""What containers send in too great a number, size or depth: it fails its own task while others are served.

Each test checks the size of the response and the lag of the gateway's event loop.
"""

import json
from typing import Any

import pytest
from tests.parts.bounds import BASE, BATCH, JSON, MIB, MOST_ANSWER, TEXT, V1, Body, deep, many, members, post, rpc
from tests.parts.lag import MOST_LAG, Watched
from tests.parts.polling import wait
from tests.parts.upstream import PlainAgent

A2A_JSON = {"Content-Type": "application/a2a+json"}
STREAM = {"Content-Type": "text/event-stream"}


def artifact(part: bytes) -> bytes:
    return b'{"artifactUpdate":{"artifact":{"artifactId":"a","parts":%b}}}' % part


TEXTS = b'{"artifacts":%b,"status":{"state":"completed"}}'
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
    watched: Watched, watched_container: PlainAgent, headers: dict[str, str], body: Body
) -> None:
    content = body()
    watched_container.respond = lambda _: (200, headers, content)
    answer = watched.least(lambda: post(watched, BASE, rpc(TEXT), V1), most=MOST_LAG)
    task = answer.json()["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "cannot be understood" in task["status"]["message"]["parts"][0]["text"]
    assert len(answer.content) < MOST_ANSWER
    assert watched.worst < MOST_LAG


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
    watched: Watched, watched_container: PlainAgent, status: int, body: Body, state: str, why: str
) -> None:
    content = body()
    watched_container.respond = lambda _: (status, STREAM, content)
    more = b',"configuration":{"returnImmediately":true,"historyLength":0}'
    task_id = post(watched, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]["id"]
    listed = b'{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{"historyLength":0}}'

    def ended() -> bool:
        (task,) = (each for each in post(watched, BASE, listed, V1).json()["result"]["tasks"] if each["id"] == task_id)
        found: dict[str, Any] = task["status"]
        said = found.get("message", {}).get("parts", [{"text": ""}])[0]["text"]
        return found["state"] == f"TASK_STATE_{state}" and why in said

    wait(ended)
    assert watched.worst < MOST_LAG


def test_a_page_of_large_tasks_is_shorter(watched: Watched, watched_container: PlainAgent) -> None:
    watched_container.respond = lambda _: (200, {"Content-Type": "text/plain"}, b"x" * (3 * MIB))
    for _ in range(5):
        post(watched, BASE, rpc(TEXT, more=b',"configuration":{"historyLength":0}'), V1)
    watched.worst, token, sizes = 0.0, "", []
    while token or not sizes:
        params = {"includeArtifacts": True, "pageToken": token}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
        page = post(watched, BASE, json.dumps(asked).encode(), V1).json()["result"]
        token = page["nextPageToken"]
        sizes.append(len(page["tasks"]))
    assert sizes == [2, 2, 1]
    assert page["totalSize"] == 5
    assert watched.worst < MOST_LAG


@pytest.mark.parametrize("levels", [240, 300, 1100])
def test_an_event_of_an_agent_that_is_nested_too_deep_ends_its_task(
    watched: Watched, watched_container: PlainAgent, levels: int
) -> None:
    watched_container.respond = lambda _: (202, {}, b"")
    more = b',"configuration":{"returnImmediately":true}'
    task = post(watched, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]
    attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "io.knative.lambda.response.success"}
    headers = {f"ce-{name}": value for name, value in {**attributes, "a2ataskid": task["id"]}.items()}
    answer = post(watched, "/events/shop/from/echo", deep(levels), headers | JSON)
    assert answer.status_code == 202, answer.text
    found = post(
        watched,
        BASE,
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": task["id"]}}).encode(),
        V1,
    ).json()["result"]
    assert found["status"]["state"] == "TASK_STATE_FAILED"
    assert watched.worst < MOST_LAG


def event(n: int, **more: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": str(n), "source": "/s", "type": "t", "data": "x" * 5000, **more}


def test_a_batch_of_a_thousand_events_is_an_answer_that_holds_nobody_up(
    watched: Watched, watched_container: PlainAgent
) -> None:
    watched_container.respond = lambda _: (200, BATCH, json.dumps([event(n) for n in range(1000)]).encode())
    request = rpc(TEXT, more=b',"configuration":{"historyLength":0}')
    answer = watched.least(lambda: post(watched, BASE, request, V1), most=MOST_LAG).json()
    assert len(answer["result"]["task"]["artifacts"]) == 1000
    assert watched.worst < MOST_LAG


def test_a_batch_of_a_thousand_events_of_one_task_holds_nobody_up(
    watched: Watched, watched_container: PlainAgent
) -> None:
    watched_container.respond = lambda _: (202, {}, b"")
    more = b',"configuration":{"returnImmediately":true}'
    task = post(watched, BASE, rpc(TEXT, more=more), V1).json()["result"]["task"]
    body = json.dumps([event(n, a2ataskid=task["id"]) for n in range(1000)]).encode()
    assert post(watched, "/events/shop/from/echo", body, BATCH).status_code == 202
    assert watched.worst < MOST_LAG
