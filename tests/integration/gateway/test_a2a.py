"""The JSON-RPC endpoint: both versions, both spellings, and every way of asking wrongly."""

import asyncio
from typing import Any

import orjson
import pytest
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.gateway import World, manifest, message, skill, world
from tests.parts.upstream import PlainAgent, Seen

from lambdaagent.a2a.jsonrpc import METHODS
from lambdaagent.a2a.versions import Version

PATH = "/agents/shop/echo/api/a2a"
OLD = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}


def code(answer: dict[str, Any]) -> int:
    assert answer["jsonrpc"] == "2.0"
    return int(answer["error"]["code"])


async def test_a_1_0_exchange_is_what_the_schema_says(echo: World) -> None:
    answer = await echo.rpc("SendMessage", {"message": message()})
    check_v1("SendMessageResponse", answer["result"])
    task = await echo.rpc("GetTask", {"id": answer["result"]["task"]["id"], "history_length": 0})
    check_v1("Task", task["result"])
    assert "history" not in task["result"]


async def test_a_0_3_exchange_is_what_its_schema_says(echo: World) -> None:
    answer = await echo.rpc("message/send", {"message": OLD}, version=None)
    check_v03("SendMessageResponse", answer)
    assert (answer["result"]["kind"], answer["result"]["status"]["state"]) == ("task", "completed")
    again = await echo.rpc("tasks/get", {"id": answer["result"]["id"]}, version="0.3")
    check_v03("GetTaskResponse", again)
    assert again["result"] == answer["result"]


async def test_0_3_and_1_0_clients_see_the_same_task(echo: World) -> None:
    old = (await echo.rpc("message/send", {"message": OLD}, version=None))["result"]
    new = (await echo.rpc("GetTask", {"id": old["id"]}))["result"]
    assert new["history"][0]["parts"] == [{"text": "hi"}]
    assert new["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_without_blocking_the_task_comes_back_at_once(echo: World, container: PlainAgent) -> None:
    for method, params in (
        ("SendMessage", {"message": message(), "configuration": {"return_immediately": True}}),
        ("message/send", {"message": OLD, "configuration": {"blocking": False}}),
    ):
        result = (await echo.rpc(method, params, version=None))["result"]
        task = result.get("task", result)
        assert task["status"]["state"] in ("TASK_STATE_WORKING", "working")
        async with asyncio.timeout(20):
            while (await echo.rpc("GetTask", {"id": task["id"]}))["result"]["status"][
                "state"
            ] != "TASK_STATE_COMPLETED":
                await asyncio.sleep(0.01)


async def test_numbers_and_unknown_fields_survive_the_way(echo: World, container: PlainAgent) -> None:
    big = 2**53 + 1
    await echo.rpc(
        "SendMessage", {"message": message(parts=[{"text": "x"}], metadata={"n": big, "snake_case": 1.5}, future=[big])}
    )
    sent = orjson.loads(container.seen[0].body)["message"]
    assert (sent["metadata"], sent["future"]) == ({"n": big, "snake_case": 1.5}, [big])


async def test_the_slash_at_the_end_changes_nothing_and_get_is_refused(echo: World) -> None:
    assert "result" in await echo.rpc("SendMessage", {"message": message()}, path=f"{PATH}/")
    refused = await echo.request("GET", PATH)
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        pytest.param(b"hello", "text/plain", -32005, id="a wrong content type, before parsing"),
        pytest.param(b"hello", "application/json", -32700, id="not JSON"),
        pytest.param(b"[]", "application/json", -32600, id="a batch"),
        pytest.param(b"{}", "application/json", -32600, id="an empty object"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"Fly"}',
            "application/json; charset=utf-8",
            -32601,
            id="an unknown method",
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}', "application/json", -32602, id="no message"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"message/send"}', "application/json", -32602, id="no message in 0.3"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}',
            "application/json",
            -32001,
            id="an unknown task",
        ),
    ],
)
async def test_each_bad_request_has_its_code(echo: World, body: bytes, content_type: str, expected: int) -> None:
    response = await echo.request("POST", PATH, data=body, headers={"Content-Type": content_type})
    answer = await response.json()
    assert (response.status, code(answer)) == (200, expected)
    assert "Traceback" not in str(answer)


async def test_an_unknown_skill_names_the_known_ones(echo: World) -> None:
    answer = await echo.rpc("SendMessage", {"message": message(metadata={"skillId": "fly"})})
    assert code(answer) == -32602
    assert "say" in answer["error"]["message"]


@pytest.mark.parametrize(
    "method", [name for name, (_, operation) in METHODS.items() if operation.streamed or operation.push]
)
async def test_what_the_card_does_not_offer_is_unsupported(gateway: World, container: PlainAgent, method: str) -> None:
    gateway.agent(url=container.url, capabilities={"streaming": False, "pushNotifications": False})
    answer = await gateway.rpc(method, {"id": "x"}, version=str(METHODS[method][0]))
    assert code(answer) == (-32003 if METHODS[method][1].push else -32004)


@pytest.mark.parametrize(
    ("method", "expected"), [("GetExtendedAgentCard", -32004), ("agent/getAuthenticatedExtendedCard", -32007)]
)
async def test_there_is_no_extended_card(echo: World, method: str, expected: int) -> None:
    assert code(await echo.rpc(method, {}, version=None)) == expected


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {"id": "x"}),
        ("tasks/cancel", {"id": "x"}),
        ("tasks/pushNotificationConfig/get", {"id": "x"}),
        ("GetTask", {"id": "x"}),
    ],
)
async def test_a_task_that_is_not_there_is_said_in_the_words_that_clients_look_for(
    echo: World, method: str, params: dict[str, Any]
) -> None:
    error = (await echo.rpc(method, params, version=None))["error"]
    assert error["code"] == -32001
    assert "Task not found" in error["message"]


@pytest.mark.parametrize(
    "id_",
    ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "1.10", "7", '"7"'],
)
@pytest.mark.parametrize("method", ["GetTask", "SendMessage", "nonsense"])
async def test_a_request_s_id_comes_back_as_it_was_written(echo: World, method: str, id_: str) -> None:
    params = '{"id":"x","message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}}'
    headers = {"Content-Type": "application/json", "A2A-Version": "1.0"}
    body = f'{{"method":"{method}","params":{params},"id": {id_} ,"jsonrpc":"2.0"}}'
    answer = await echo.request("POST", "/agents/shop/echo/api/a2a", data=body, headers=headers)
    assert f'"id":{id_},'.encode() in answer.body


@pytest.mark.parametrize("header", ["99.0", "nonsense"])
async def test_an_unknown_version_is_refused(echo: World, header: str) -> None:
    assert code(await echo.rpc("GetTask", {"id": "x"}, version=header)) == -32009
    assert code(await echo.rpc("GetTask", {"id": "x"}, version=None, path=f"{PATH}?A2A-Version={header}")) == -32009


async def test_an_empty_version_is_served(echo: World) -> None:
    assert "result" in await echo.rpc("SendMessage", {"message": message()}, version="")


async def test_a_version_that_the_agent_does_not_offer_is_refused(gateway: World, container: PlainAgent) -> None:
    gateway.agent(url=container.url, protocolVersions=["1.0"])
    assert code(await gateway.rpc("message/send", {"message": OLD}, version=None)) == -32009
    assert Version.V1 in (gateway.directory.get("shop", "echo") or pytest.fail()).offered


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        pytest.param(lambda seen: (500, {}, b"out of memory"), "answered 500: out of memory", id="an error"),
        pytest.param(
            lambda seen: (200, {"Content-Type": "application/json"}, b"{"), "cannot be understood", id="nonsense"
        ),
    ],
)
async def test_an_agent_that_fails_fails_the_task_and_says_why(
    echo: World, container: PlainAgent, respond: Any, words: str
) -> None:
    container.respond = respond
    task = (await echo.rpc("SendMessage", {"message": message()}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert words in task["status"]["message"]["parts"][0]["text"]


async def test_an_agent_that_is_down_fails_the_task_and_says_so(gateway: World) -> None:
    gateway.agent(url="http://127.0.0.1:1")
    task = (await gateway.rpc("SendMessage", {"message": message()}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "does not accept connections" in task["status"]["message"]["parts"][0]["text"]


async def test_an_agent_that_is_slow_fails_the_task_at_its_deadline(gateway: World, container: PlainAgent) -> None:
    def slow(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        held.wait(10)
        return 200, {}, b""

    import threading

    held = threading.Event()
    container.respond = slow
    gateway.agent(url=container.url, skills=[skill("say", invoke={"timeoutSeconds": 1})])
    task = (await gateway.rpc("SendMessage", {"message": message()}))["result"]["task"]
    held.set()
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "it did not begin to answer in " in task["status"]["message"]["parts"][0]["text"]


@pytest.mark.parametrize(
    ("url", "ready"), [(None, True), ("http://x", False), ("ftp://x", True)], ids=["no URL", "not ready", "a bad URL"]
)
async def test_an_agent_that_is_not_ready_is_a_503_in_the_protocols_form(
    gateway: World, url: str | None, ready: bool
) -> None:
    gateway.agent(url=url, ready=ready)
    body = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message()}}
    response = await gateway.request("POST", PATH, json=body)
    answer = await response.json()
    assert (response.status, code(answer), answer["id"]) == (503, -32603, 7)
    assert "Retry-After" in response.headers


async def test_a_body_over_the_limit_is_a_413(container: PlainAgent) -> None:
    async with world(max_body=2000) as gateway:
        gateway.agent(url=container.url)
        response = await gateway.request("POST", PATH, json={"x": "y" * 3000})
        assert (response.status, response.content_type) == (413, "application/problem+json")


async def test_a_crash_is_an_internal_error_without_its_inside(echo: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(echo.engine, "get", crash)
    answer = await echo.rpc("GetTask", {"id": "x"})
    assert code(answer) == -32603
    assert "secret" not in str(answer)


async def test_another_base_path_and_plain_http(gateway: World, container: PlainAgent) -> None:
    gateway.agent("other", url=container.url, protocol="http", endpoint={"basePath": "/v2/talk"})
    answer = await gateway.rpc("SendMessage", {"message": message()}, path="/agents/shop/other/v2/talk")
    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert container.seen[0].path == "/v2/talk/skills/say"
    assert container.seen[0].headers["a2a-task-id"] == answer["result"]["task"]["id"]


async def test_the_trace_goes_on_to_the_container(echo: World, container: PlainAgent) -> None:
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await echo.rpc("SendMessage", {"message": message()}, traceparent=parent)
    await echo.rpc("SendMessage", {"message": message()}, traceparent="nonsense")
    assert [seen.headers.get("ce-traceparent") for seen in container.seen] == [parent, None]


async def test_tasks_survive_a_restart_in_sqlite(container: PlainAgent, tmp_path: Any) -> None:
    async with world(database=tmp_path / "t.db") as gateway:
        gateway.agent(url=container.url)
        task = (await gateway.rpc("SendMessage", {"message": message()}))["result"]["task"]
    async with world(database=tmp_path / "t.db") as gateway:
        gateway.agent(url=container.url)
        assert (await gateway.rpc("GetTask", {"id": task["id"]}))["result"] == task


async def test_an_agent_without_a2a_is_named(gateway: World) -> None:
    gateway.add(manifest("plain"), url="http://x")
    response = await gateway.request("POST", "/agents/shop/plain/api/a2a", json={})
    assert response.status == 404
    assert "shop/plain" in (await response.json())["detail"]
