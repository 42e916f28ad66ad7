"""A direct skill call that the client does not want to wait for (RFC 7240): a task, and the same call inside."""

import asyncio

import pytest
from tests.parts.gateway import World
from tests.parts.upstream import PlainAgent

SKILL = "/agents/shop/echo/api/a2a/skills/say"
PREFER = {"Prefer": "respond-async"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("text/plain; charset=utf-8", "grüß".encode(), id="text"),
        pytest.param("application/json", b'{"n":[1,2.5,null]}', id="JSON"),
        pytest.param("image/png", bytes(range(256)), id="bytes"),
    ],
)
async def test_the_container_gets_the_call_as_it_was_made(
    echo: World, container: PlainAgent, kind: str, body: bytes
) -> None:
    container.respond = lambda _: (200, {"Content-Type": "text/plain"}, b"done")
    answer = await echo.request("POST", SKILL, data=body, headers={"Content-Type": kind, **PREFER})
    task = await answer.json()
    assert answer.status == 202
    assert answer.headers["Location"] == f"{echo.url}/agents/shop/echo/api/a2a/tasks/{task['id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    done = await echo.ended(task["id"])
    assert done["artifacts"][0]["parts"] == [{"text": "done"}]
    assert (container.seen[-1].headers["content-type"], container.seen[-1].body) == (kind, body)


async def test_a_body_that_is_not_what_it_says_is_refused(echo: World) -> None:
    answer = await echo.request("POST", SKILL, data=b"{", headers={"Content-Type": "application/json", **PREFER})
    assert answer.status == 400
    assert "is not JSON" in (await answer.json())["detail"]


async def test_a_content_type_that_is_no_text_is_refused_and_hides_no_task(echo: World) -> None:
    lines = (f"POST {SKILL} HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 1", "Prefer: respond-async")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(echo.url.rpartition(":")[2]))
    writer.write("\r\n".join(lines).encode() + b"\r\nContent-Type: app/\xff\r\n\r\nx")
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"problem:bad-header" in answer
    assert (await echo.rpc("ListTasks", {}))["result"]["tasks"] == []


async def test_the_same_request_twice_is_one_task(echo: World, container: PlainAgent) -> None:
    headers = {"Content-Type": "text/plain", "Idempotency-Key": "k", **PREFER}
    first, again = [await (await echo.request("POST", SKILL, data=b"x", headers=headers)).json() for _ in range(2)]
    assert first["id"] == again["id"]
    await echo.ended(first["id"])
    assert len(container.seen) == 1


async def test_a_key_that_no_store_could_keep_is_refused(echo: World, container: PlainAgent) -> None:
    headers = {"Content-Type": "text/plain", "Idempotency-Key": "k" * 256, **PREFER}
    answer = await echo.request("POST", SKILL, data=b"x", headers=headers)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert "Idempotency-Key" in (await answer.json())["detail"]
    assert container.seen == []
