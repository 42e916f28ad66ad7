"""An agent whose container is an MCP server of the official SDK, of each era, called over A2A and over MCP."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from tests.parts.gateway import World, manifest, world
from tests.parts.gateway_process import running
from tests.parts.mcp_servers import ERAS, Recorded, mcp_server
from tests.parts.mcp_tools import PIXEL, Toolbox, toolbox
from tests.parts.polling import eventually

from lambdaagent.api import agent as agents
from lambdaagent.children import sidecar
from lambdaagent.settings import Installation

Json = dict[str, Any]
PATH = "/agents/shop/tools/api/a2a"
NAMES = ("add", "shout", "show", "fail", "climb", "hang", "book", "route", "confirm")


class Box:
    def __init__(self, world: World, made: Toolbox, asked: Recorded, era: str) -> None:
        self.world, self.made, self.asked, self.era = world, made, asked, era

    async def send(self, skill: str, *parts: Json, task: str = "", metadata: Json | None = None, **more: Any) -> Json:
        """Sends a message, and returns the whole answer."""
        message: Json = {"messageId": f"m-{len(self.asked.seen)}", "role": "ROLE_USER", "parts": list(parts)}
        message["metadata"] = {"skillId": skill, **(metadata or {})}
        if task:
            message["taskId"] = task
        return await self.world.rpc("SendMessage", {"message": message, **more}, path=PATH)

    async def task(self, skill: str, *parts: Json, **more: Any) -> Json:
        answer = await self.send(skill, *parts, **more)
        found: Json = answer["result"]["task"]
        return found


ASKING = pytest.mark.parametrize("box", ["modern"], indirect=True)  # only servers of 2026-07-28 ask


@pytest.fixture(params=ERAS)
def box(request: pytest.FixtureRequest, gateway: World) -> Iterator[Box]:
    made = toolbox()
    with mcp_server(made.server, request.param) as (url, asked):
        skills = [{"id": name, "name": name} for name in NAMES]
        spec = manifest("tools", a2a={"enabled": True, "protocol": "mcp", "skills": skills})
        gateway.add(spec, url=url.removesuffix("/mcp"))
        yield Box(gateway, made, asked, request.param)


def state(task: Json) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def said(task: Json) -> list[Json]:
    (artifact,) = task["artifacts"]
    parts: list[Json] = artifact["parts"]
    return parts


async def test_data_is_the_arguments_and_the_result_an_artifact(box: Box) -> None:
    task = await box.task("add", {"data": {"a": 1, "b": 2}})
    assert state(task) == "COMPLETED"
    text, data = said(task)
    assert text == {"text": "3"}
    assert data["data"] == {"result": 3}
    assert data["metadata"]["io.modelcontextprotocol/structuredContent"] is True


async def test_a_text_is_the_only_required_text(box: Box) -> None:
    assert said(await box.task("shout", {"text": "hey"}))[0] == {"text": "HEY"}
    first = {"modern": 3, "stateless": 5, "stateful": 6}[box.era]
    await eventually(lambda: len(box.asked.seen) == first)
    await box.task("shout", {"text": "hey"})
    # Only a server with sessions is greeted and left again; the tools are listed once.
    await eventually(lambda: len(box.asked.seen) == first + (4 if box.era == "stateful" else 1))
    assert said(await box.task("add", {"text": '{"a": 1, "b": 2}'}))[0] == {"text": "3"}


async def test_what_the_tool_cannot_take_is_refused_and_says_what_it_takes(box: Box) -> None:
    for parts in ([{"text": "hey"}], [{"data": [1]}], [{"data": {}}, {"data": {}}], [{"raw": "aGV5"}]):
        answer = await box.send("add", *parts)
        assert answer["error"]["code"] == -32602
        assert "a (integer), b (integer)" in answer["error"]["message"]
    assert not any(headers.get("mcp-method") == "tools/call" for _, _, headers in box.asked.seen)


async def test_arguments_that_are_headers_are_sent_as_such(box: Box) -> None:
    expected = "north" if box.era == "modern" else "None"
    assert said(await box.task("route", {"text": "north"}))[0] == {"text": expected}
    # The header of an object's argument is known after the server has refused the call without it.
    assert said(await box.task("route", {"data": {"region": "north"}}))[0] == {"text": expected}


async def test_the_header_of_a_first_call_is_found_too(box: Box) -> None:
    found = said(await box.task("route", {"data": {"region": "\u00fcber"}}))[0]["text"]
    assert found == ("=?base64?w7xiZXI=?=" if box.era == "modern" else "None")


async def test_every_form_of_content_arrives(box: Box) -> None:
    parts = said(await box.task("show", {"data": {}}))
    assert [{key: part[key] for key in part if key != "metadata"} for part in parts] == [
        {"text": "look"},
        {"raw": PIXEL, "mediaType": "image/png"},
        {"raw": PIXEL, "mediaType": "audio/wav"},
        {"text": "a{}", "mediaType": "text/css", "filename": "a"},
        {"raw": PIXEL, "mediaType": "application/x", "filename": "x.bin"},
        {"url": "https://example.com/x", "filename": "x"},
        {"data": {"seen": True}},
    ]


async def test_a_tool_that_fails_fails_the_task_with_its_words(box: Box) -> None:
    task = await box.task("fail", {"text": "no soup"})
    assert state(task) == "FAILED"
    assert "no soup" in task["status"]["message"]["parts"][0]["text"]


async def test_a_tool_that_the_server_lacks_is_an_error(box: Box, gateway: World) -> None:
    spec = {"enabled": True, "protocol": "mcp", "skills": [{"id": "gone", "name": "Gone"}, {"id": "x", "name": "X"}]}
    url = f"http://{box.world.directory.find('shop', 'tools').callee.target.authority}"  # type: ignore[union-attr]
    gateway.add(manifest("tools", a2a=spec), url=url)
    answer = await box.send("gone", {"data": {}})
    words = json.dumps(answer)
    assert "Unknown tool" in words or "gone" in words
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    unnamed = await gateway.rpc("SendMessage", {"message": message}, path=PATH)
    assert "known are: gone, x" in unnamed["error"]["message"]


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_progress_and_logs_are_updates(box: Box) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {}}], "metadata": {"skillId": "climb"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message}}
    answer = await box.world.request("POST", PATH, json=body, headers={"A2A-Version": "1.0"})
    lines = [line for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: "))["result"] for line in lines]
    updates = [event["statusUpdate"] for event in events if "statusUpdate" in event]
    reports = [update.get("metadata", {}) for update in updates if state(update) == "WORKING"]
    assert {"progress": 2, "total": 3, "message": "step 2"} in [
        each.get("io.modelcontextprotocol/progress") for each in reports
    ]
    logged = [each.get("io.modelcontextprotocol/log") for each in reports]
    assert {"level": "info", "data": "at the top"} in logged
    assert state(updates[-1]) == "COMPLETED"


@ASKING
async def test_a_question_waits_for_its_client_and_the_answer_goes_on(box: Box) -> None:
    asked = await box.task("book", {"text": "Opera"})
    assert state(asked) == "INPUT_REQUIRED"
    message = asked["status"]["message"]
    assert message["parts"] == [{"text": "How many seats?"}]
    request = message["metadata"]["io.modelcontextprotocol/inputRequests"]["seats"]
    assert request["method"] == "elicitation/create"
    refused = await box.send("book", {"text": "many"}, task=asked["id"])
    assert "seats (integer)" in refused["error"]["message"]
    again = (await box.world.rpc("GetTask", {"id": asked["id"]}, path=PATH))["result"]
    assert state(again) == "INPUT_REQUIRED"
    done = await box.task("book", {"text": "3"}, task=asked["id"])
    assert state(done) == "COMPLETED"
    assert said(done)[0] == {"text": "Opera: 3 (round-1)"}


@ASKING
async def test_a_client_that_knows_the_extension_answers_by_name(box: Box) -> None:
    key = "io.modelcontextprotocol/inputResponses"
    for answer, words in (
        ({"action": "accept", "content": {"seats": 2}}, "Opera: 2 (round-1)"),
        ({"action": "decline"}, "no booking: decline"),
    ):
        asked = await box.task("book", {"text": "Opera"})
        done = await box.task("book", {"text": "-"}, task=asked["id"], metadata={key: {"seats": answer}})
        assert said(done)[0] == {"text": words}
    asked = await box.task("book", {"text": "Opera"})
    refused = await box.send("book", {"text": "-"}, task=asked["id"], metadata={key: {"other": {}}})
    assert "which was not asked" in refused["error"]["message"]


async def test_a_question_in_an_open_answer_is_declined_and_the_tool_says_that_it_failed(box: Box) -> None:
    task = await asyncio.wait_for(box.task("confirm", {"data": {}}), 20)
    assert state(task) == "FAILED"
    assert task["status"]["message"]["parts"][0]["text"]
    if box.era == "stateful":
        sent = [headers for method, _, headers in box.asked.seen if method == "POST"]
        assert len(sent) == 5  # probe, two of the handshake, the call, and the answer to what the server asked


async def test_a_cancelled_task_ends_the_call(box: Box) -> None:
    task = await box.task("hang", {"text": "x"}, configuration={"returnImmediately": True})
    await eventually(lambda: box.made.hanging == ["x"])
    answer = await box.world.rpc("CancelTask", {"id": task["id"]}, path=PATH)
    assert state(answer["result"]) == "CANCELED"
    await eventually(lambda: box.made.given_up == ["x"])
    if box.era == "stateful":
        await eventually(lambda: box.asked.seen[-1][0] == "DELETE")


async def test_credentials_of_the_caller_stay_here(box: Box) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "metadata": {"skillId": "shout"}}
    headers = {"Authorization": "Bearer mine", "Cookie": "a=b", "X-API-Key": "k", "Mcp-Session-Id": "s"}
    await box.world.rpc("SendMessage", {"message": message}, path=PATH, **headers)
    for _, _, seen in box.asked.seen:
        assert not {"authorization", "cookie", "x-api-key"} & set(seen)
        assert seen.get("mcp-session-id") != "s"


async def test_a_direct_call_gets_the_result(box: Box) -> None:
    answer = await box.world.request("POST", f"{PATH}/skills/add", json={"a": 2, "b": 5})
    assert (answer.status, json.loads(answer.body)) == (200, {"result": 7})
    answer = await box.world.request("POST", f"{PATH}/skills/shout", data="hey", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.body) == (200, b'{"result":"HEY"}')


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_host_gets_the_tools_own_content(box: Box, mode: str) -> None:
    url = f"{box.world.url}/agents/shop/tools/mcp"
    async with Client(streamable_http_client(url), mode=mode) as client:
        result = await client.call_tool("shout", {"text": "hey"})
        assert [each.model_dump(exclude_none=True, by_alias=True) for each in result.content] == [
            {"type": "text", "text": "HEY"}
        ]


async def test_a_server_that_is_away_fails_the_task(gateway: World) -> None:
    spec = {"enabled": True, "protocol": "mcp", "skills": [{"id": "x", "name": "X"}]}
    gateway.add(manifest("tools", a2a=spec), url="http://127.0.0.1:1")
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    answer = await asyncio.wait_for(gateway.rpc("SendMessage", {"message": message}, path=PATH), 60)
    assert "cannot be reached" in answer["result"]["task"]["status"]["message"]["parts"][0]["text"]


async def test_a_question_outlives_the_gateway_that_asked_it(tmp_path: Path) -> None:
    made = toolbox()
    a2a = {"enabled": True, "protocol": "mcp", "skills": [{"id": "book", "name": "Book"}]}

    async def send(found: World, text: str, **more: Any) -> Json:
        message = {"messageId": f"m-{text}", "role": "ROLE_USER", "parts": [{"text": text}], **more}
        task: Json = (await found.rpc("SendMessage", {"message": message}, path=PATH))["result"]["task"]
        return task

    with mcp_server(made.server, "modern") as (url, _):
        spec, base = manifest("tools", a2a=a2a), url.removesuffix("/mcp")
        async with world(database=tmp_path / "tasks.db") as first:
            first.add(spec, url=base)
            asked = await send(first, "Opera")
            assert state(asked) == "INPUT_REQUIRED"
        async with world(database=tmp_path / "tasks.db") as second:
            second.add(spec, url=base)
            done = await send(second, "5", taskId=asked["id"])
            assert said(done)[0] == {"text": "Opera: 5 (round-1)"}


def test_a_sidecar_calls_the_tools_in_its_pod() -> None:
    made = toolbox()
    with mcp_server(made.server, "modern") as (url, _):
        port = urlsplit(url).port
        a2a = {"enabled": True, "mode": "sidecar", "protocol": "mcp", "skills": [{"id": "shout", "name": "Shout"}]}
        spec = {"image": {"repository": "r", "port": port}, "a2a": a2a}
        agent = agents.parse({"metadata": {"name": "beside", "namespace": "ai"}, "spec": spec})
        installation = Installation(gateway_image="example.com/lambdaagent:v1", access="off")
        _, gateway = sidecar.containers(agent, installation, sink=None, probes=False)
        environment = {entry["name"]: entry["value"].replace("$$", "$") for entry in gateway["env"]}
        kept = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        with running(gateway["args"], kept | environment, ready=sidecar.ALIVE) as client:
            answer = client.post("/api/a2a/skills/shout", json={"what": "hey"})
            assert (answer.status_code, answer.json()) == (200, {"result": "HEY"})
