"""The HTTP+JSON binding: media types, versions, tenants, and every way of asking wrongly."""

from typing import Any

import pytest
from tests.integration.gateway.streaming import BASE, TEXT
from tests.parts.gateway import World, message, skill, world
from tests.parts.upstream import PlainAgent
from yarl import URL

from lambdaagent.a2a.errors import Edition
from lambdaagent.tasks.errors import EngineBusyError, EngineStoppedError

SEND = f"{BASE}/message:send"


def reason(body: Any) -> str:
    info = body["error"]["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "a2a-protocol.org"
    return str(info["reason"])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, "application/json", id="1.0.0's, unless asked"),
        pytest.param({"Accept": "application/a2a+json"}, "application/a2a+json", id="asked by Accept"),
        pytest.param({"Content-Type": "application/a2a+json"}, "application/a2a+json", id="asked by using it"),
    ],
)
async def test_the_media_type_is_the_one_that_the_client_knows(
    echo: World, headers: dict[str, str], expected: str
) -> None:
    for body, status in ({"message": message()}, 200), ({}, 400):
        response = await echo.request("POST", SEND, json=body, headers=headers)
        assert (response.status, response.content_type) == (status, expected)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "expected"),
    [
        pytest.param("POST", "message:send", {"data": b"{"}, 400, "JSON_PARSE_ERROR", id="not JSON"),
        pytest.param("POST", "message:send", {"json": []}, 400, "INVALID_REQUEST", id="a list"),
        pytest.param("POST", "message:send", {"json": {}}, 400, "INVALID_PARAMS", id="an empty object"),
        pytest.param("POST", "message:send", {}, 400, "INVALID_PARAMS", id="no body"),
        pytest.param("POST", "message:send", {"data": b"[" * 600 + b"]" * 600}, 400, "INVALID_REQUEST", id="depth"),
        pytest.param("POST", "v1/message:send", {"json": {}}, 400, "INVALID_PARAMS", id="an empty object of 0.3"),
        pytest.param("GET", "message:send", {}, 405, "METHOD_NOT_FOUND", id="a wrong method"),
        pytest.param("PUT", "tasks/x", {}, 405, "METHOD_NOT_FOUND", id="another wrong method"),
        pytest.param("GET", "nothing/at/all", {}, 404, "METHOD_NOT_FOUND", id="no path"),
        pytest.param("GET", "tasks/x", {}, 404, "TASK_NOT_FOUND", id="no task"),
        pytest.param("GET", "tasks/%ED%A0%80", {}, 404, "TASK_NOT_FOUND", id="half a surrogate in a path"),
        pytest.param("GET", "tasks?contextId=%00", {}, 400, "INVALID_PARAMS", id="NUL in a query"),
        pytest.param("GET", "tasks?pageSize=0", {}, 400, "INVALID_PARAMS", id="a page of nothing"),
        pytest.param("GET", "tasks?pageToken=x", {}, 400, "INVALID_PARAMS", id="a token of nobody"),
        pytest.param("GET", "tasks/x?historyLength=-1", {}, 400, "INVALID_PARAMS", id="a negative length"),
        pytest.param("POST", "tasks/x:cancel", {"data": b"7"}, 400, "INVALID_REQUEST", id="a number"),
        pytest.param("GET", "extendedAgentCard", {}, 400, "UNSUPPORTED_OPERATION", id="no extended card"),
        pytest.param("GET", "v1/card", {}, 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", id="no extended card in 0.3"),
    ],
)
async def test_each_bad_request_has_its_status_and_reason(
    echo: World, method: str, path: str, sent: dict[str, Any], status: int, expected: str
) -> None:
    headers = {"Content-Type": "application/json"} if "data" in sent else {}
    async with echo.session.request(
        method, URL(f"{echo.url}{BASE}/{path}", encoded=True), headers=headers, **sent
    ) as response:
        body = await response.json()
        assert (response.status, body["error"]["code"], reason(body)) == (status, status, expected)
        assert ("Allow" in response.headers) is (status == 405)


@pytest.mark.parametrize(
    ("edition", "content_type", "not_cancelable"), [(Edition.LATEST, 400, 400), (Edition.FIRST, 415, 409)]
)
async def test_statuses_are_those_of_the_edition_that_is_set(
    container: PlainAgent, edition: Edition, content_type: int, not_cancelable: int
) -> None:
    async with world(errors=edition) as gateway:
        gateway.agent(url=container.url)
        refused = await gateway.request("POST", SEND, data=b"hello", headers={"Content-Type": "text/plain"})
        assert (refused.status, reason(await refused.json())) == (content_type, "CONTENT_TYPE_NOT_SUPPORTED")
        task = (await gateway.rpc("SendMessage", {"message": message()}))["result"]["task"]
        for _ in range(2):
            refused = await gateway.request("POST", f"{BASE}/tasks/{task['id']}:cancel")
            assert (refused.status, reason(await refused.json())) == (not_cancelable, "TASK_NOT_CANCELABLE")


@pytest.mark.parametrize("path", ["message:send", "v1/message:send"])
async def test_an_unknown_version_is_refused_by_header_and_query(echo: World, path: str) -> None:
    for headers, query in (({"A2A-Version": "99.0"}, ""), ({}, "?A2A-Version=99.0")):
        refused = await echo.request("POST", f"{BASE}/{path}{query}", json={}, headers=headers)
        assert (refused.status, reason(await refused.json())) == (400, "VERSION_NOT_SUPPORTED")


async def test_a_version_that_the_agent_does_not_offer_is_refused(gateway: World, container: PlainAgent) -> None:
    gateway.agent(url=container.url, protocolVersions=["1.0"])
    body = {"message": TEXT["0.3 REST"]}
    refused = await gateway.request("POST", f"{BASE}/v1/message:send", json=body)
    assert (refused.status, reason(await refused.json())) == (400, "VERSION_NOT_SUPPORTED")
    assert (await refused.json())["type"] == "VersionNotSupportedError"


async def test_tenants_extensions_and_unknown_fields_are_accepted(echo: World, container: PlainAgent) -> None:
    headers = {"A2A-Extensions": "https://x/1, https://x/2", "X-A2A-Extensions": "https://x/3"}
    sent = {"message": message(), "tenant": "acme", "future": {"x": 1}, "configuration": {"future": 1}}
    for path in (f"{BASE}/acme/message:send", SEND):
        answer = await echo.request("POST", path, json=sent, headers=headers)
        assert answer.status == 200
        task_id = (await answer.json())["task"]["id"]
        assert (await echo.request("GET", f"{BASE}/acme/tasks/{task_id}")).status == 200
    answer = await echo.rpc("GetTask", {"id": task_id, "tenant": "acme"}, **headers)
    assert answer["result"]["id"] == task_id


async def test_history_is_cut_as_the_query_says_in_both_spellings(echo: World) -> None:
    task_id = (await (await echo.request("POST", SEND, json={"message": message()})).json())["task"]["id"]
    for query, there in (("historyLength=0", False), ("history_length=0", False), ("historyLength=1", True)):
        task = await (await echo.request("GET", f"{BASE}/tasks/{task_id}?{query}")).json()
        assert ("history" in task) is there


async def test_a_mode_that_is_not_taken_is_a_content_type_that_is_not_supported(
    gateway: World, container: PlainAgent
) -> None:
    gateway.agent(url=container.url, enforceModes=True, skills=[skill("say", inputModes=["text"])])
    refused = await gateway.request("POST", SEND, json={"message": message(parts=[{"raw": "aGk="}])})
    assert (refused.status, reason(await refused.json())) == (400, "CONTENT_TYPE_NOT_SUPPORTED")


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (EngineBusyError("full"), 429, "RESOURCE_EXHAUSTED"),
        (EngineStoppedError("stopping"), 503, "UNAVAILABLE"),
    ],
)
async def test_what_may_be_sent_again_says_so_in_both_bindings(
    echo: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, name: str
) -> None:
    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(echo.engine, "send", refuse)
    over_rest = await echo.request("POST", SEND, json={"message": message()})
    assert (over_rest.status, (await over_rest.json())["error"]["status"]) == (status, name)
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}
    over_rpc = await echo.request("POST", BASE, json=call)
    assert (over_rpc.status, (await over_rpc.json())["error"]["code"]) == (status, -32603)
    for response in (over_rest, over_rpc):
        assert response.headers["Retry-After"] == "5"


async def test_a_crash_is_an_internal_error_without_its_inside(echo: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(echo.engine, "get", crash)
    answer = await echo.request("GET", f"{BASE}/tasks/x")
    assert (answer.status, reason(await answer.json())) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.body.decode()


async def test_a_body_over_the_limit_is_a_413(container: PlainAgent) -> None:
    async with world(max_body=2000) as gateway:
        gateway.agent(url=container.url)
        assert (await gateway.request("POST", SEND, json={"x": "y" * 3000})).status == 413


async def test_a_key_said_twice_makes_one_task(echo: World, container: PlainAgent) -> None:
    sent = {"json": {"message": message()}, "headers": {"Idempotency-Key": "k-1"}}
    first, again = [(await (await echo.request("POST", SEND, **sent)).json())["task"]["id"] for _ in range(2)]
    assert first == again
    assert len(container.seen) == 1
    sent["headers"] = {"Idempotency-Key": "k" * 300}
    assert (await echo.request("POST", SEND, **sent)).status == 400


async def test_nul_and_deep_data_survive_the_way_or_are_refused(echo: World) -> None:
    data: Any = "end"
    for _ in range(150):
        data = [data]
    sent = {"message": message(parts=[{"text": "a\0b"}, {"data": data}])}
    task = (await (await echo.request("POST", SEND, json=sent)).json())["task"]
    assert task["history"][0]["parts"][0]["text"] == "a\0b"
    for path in (f"{BASE}/tasks/{task['id']}", f"{BASE}/v1/tasks/{task['id']}", f"{BASE}/tasks"):
        assert (await echo.request("GET", path)).status == 200
