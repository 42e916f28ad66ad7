"""Direct skill calls: what a container accepts becomes a task, files keep their names, and failures stay inside."""

import json
import re
import socket
from email import message_from_bytes, policy
from typing import Any

import pytest
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, Json, Remote, serve
from tests.parts.gateway import World, message, skill, world
from tests.parts.upstream import PlainAgent, raw_server

SAY = "/agents/shop/echo/api/a2a/skills/say"
TEXT = {"Content-Type": "text/plain"}


# a container that accepts a call


@pytest.mark.parametrize("protocol", ["cloudevents", "http"])
@pytest.mark.parametrize("size", [5, 200_000], ids=["small", "streamed"])
async def test_a_container_that_accepts_a_call_gives_the_caller_its_task(
    gateway: World, container: PlainAgent, protocol: str, size: int
) -> None:
    gateway.agent(url=container.url, protocol=protocol)
    gateway.broker.bind("shop/shared", "io.knative.lambda.response.success")
    container.respond = lambda _: (202, TEXT, b"on it")
    answer = await gateway.request("POST", SAY, data=b"x" * size, headers=TEXT)
    task = await answer.json()
    assert answer.status == 202
    assert answer.headers["Location"].endswith(f"/tasks/{task['id']}")
    assert task["status"]["state"] == "TASK_STATE_WORKING"
    assert task["status"]["message"]["parts"] == [{"text": "on it"}]
    said = task["history"][0]["parts"][0]["text"]
    assert said == "x" * size if size < 10 else "200000 bytes (text/plain)" in said
    headers = container.seen[0].headers
    assert task["id"] == headers.get("ce-a2ataskid", headers.get("a2a-task-id"))
    assert await gateway.report(task["id"]) == 202
    done = (await gateway.rpc("GetTask", {"id": task["id"]}))["result"]
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    assert done["artifacts"][0]["parts"] == [{"text": "late"}]


async def test_an_event_that_is_faster_than_the_202_is_not_lost(gateway: World) -> None:
    async def conversation(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"ce-a2ataskid: (\S+)", head)
        assert found is not None
        assert await gateway.report(found[1].decode()) == 202
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        gateway.broker.bind("shop/shared", "io.knative.lambda.response.success")
        answer = await gateway.request("POST", SAY, data=b"x", headers=TEXT)
    task = await answer.json()
    assert (answer.status, task["status"]["state"]) == (202, "TASK_STATE_COMPLETED")
    assert task["artifacts"][0]["parts"] == [{"text": "late"}]


async def test_a_call_that_is_answered_makes_no_task(echo: World, container: PlainAgent) -> None:
    for status in (200, 204, 404):
        container.respond = lambda _, status=status: (status, {}, b"")  # type: ignore[misc]
        assert (await echo.request("POST", SAY, data=b"x", headers=TEXT)).status == status
    assert (await echo.rpc("ListTasks", {}))["result"]["tasks"] == []


# files and several artifacts

NAMES = [
    ('attachment; filename="a b.csv"', "a b.csv"),
    ("attachment; filename=plain.csv", "plain.csv"),
    ("inline; filename*=UTF-8''%e2%82%ac%20rates.csv", "€ rates.csv"),
    ('attachment; filename="/etc/../secret.csv"', "secret.csv"),
    ('attachment; filename="C:\\\\x\\\\y.csv"', "y.csv"),
]


@pytest.mark.parametrize(("header", "name"), NAMES)
@pytest.mark.parametrize("kind", ["text/csv", "application/pdf", "application/json"])
async def test_the_name_of_a_file_that_a_container_answers_is_kept(
    echo: World, container: PlainAgent, header: str, name: str, kind: str
) -> None:
    container.respond = lambda _: (200, {"Content-Type": kind, "Content-Disposition": header}, b"1")
    task = (await echo.rpc("SendMessage", {"message": message("x")}))["result"]["task"]
    (part,) = task["artifacts"][0]["parts"]
    assert part["filename"] == name
    ours = {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "x"}]}
    old = (await echo.rpc("message/send", {"message": ours}, version="0.3"))["result"]
    (old_part,) = old["artifacts"][0]["parts"]
    assert old_part.get("file", {}).get("name", old_part.get("metadata", {}).get("filename")) == name


@pytest.mark.parametrize(
    "header", ["attachment", "nonsense", ";;;", 'attachment; filename="', "x" * 3000, "filename*=bad''%zz"]
)
async def test_a_header_that_names_no_file_names_none(echo: World, container: PlainAgent, header: str) -> None:
    container.respond = lambda _: (200, {"Content-Type": "text/csv", "Content-Disposition": header}, b"1")
    task = (await echo.rpc("SendMessage", {"message": message("x")}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(task["artifacts"][0]["parts"][0].get("filename", "")) < 256


async def test_the_name_of_a_callers_file_reaches_the_container(echo: World, container: PlainAgent) -> None:
    headers = {"Content-Type": "text/csv", "Content-Disposition": "attachment; filename*=UTF-8''%e2%82%ac.csv"}
    await echo.request("POST", SAY, data=b"1,2", headers=headers)
    assert container.seen[-1].headers["content-disposition"] == headers["Content-Disposition"]
    answer = await echo.request("POST", SAY, data=b"1,2", headers={**headers, "Prefer": "respond-async"})
    task = await answer.json()
    assert task["history"][0]["parts"][0]["filename"] == "€.csv"
    await echo.rpc("SendMessage", {"message": message("x", parts=[{"raw": "aGk=", "filename": 'a"b.bin'}])})
    assert "messageId" in container.seen[-1].body.decode()


def artifacts(*parts: list[Json]) -> Json:
    made = [{"artifactId": f"a{number}", "parts": each} for number, each in enumerate(parts)]
    return {"task": by_hand.task("COMPLETED", artifacts=made)}


SEVERAL = artifacts(
    [{"text": "one "}, {"text": "two"}],
    [{"raw": "aGk=", "mediaType": "application/pdf", "filename": "a.pdf"}, {"data": {"k": 1}}],
    [{"url": "https://x.example/f", "mediaType": "a/b"}, {"text": "t", "mediaType": "text/csv", "filename": "ü.csv"}],
)


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain, multipart/mixed;q=0.5", "multipart/*"])
async def test_several_artifacts_are_answered_as_multipart(container: PlainAgent, accept: str | None) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": SEVERAL}))
        headers = {**TEXT, **({"Accept": accept} if accept else {})}
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=headers)
    assert answer.status == 200
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts = list(message_from_bytes(head + answer.body, policy=policy.HTTP).iter_parts())
    found_parts = [(part.get_content_type(), part.get_filename(), part.get_payload(decode=True)) for part in parts]
    assert found_parts == [
        ("text/plain", None, b"one two"),
        ("application/pdf", "a.pdf", b"hi"),
        ("application/json", None, b'{"k":1}'),
        ("text/uri-list", None, b"https://x.example/f\r\n"),
        ("text/csv", "ü.csv", b"t"),
    ]
    assert answer.headers["LambdaAgent-Artifacts"] == "5"


@pytest.mark.parametrize("accept", ["text/plain", "application/json", "multipart/mixed;q=0, text/*"])
async def test_a_client_that_takes_no_multipart_gets_the_first_and_is_told_how_to_get_all(
    container: PlainAgent, accept: str
) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": SEVERAL}))
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers={**TEXT, "Accept": accept})
    assert (answer.status, answer.body) == (200, b"one two")
    assert answer.headers["LambdaAgent-Artifacts"] == "1 of 5; Accept: multipart/mixed gives all of them"


async def test_an_answer_that_is_said_on_the_way_is_the_answer(container: PlainAgent) -> None:
    events = [
        {"message": by_hand.said("hi")},
        {"statusUpdate": {"taskId": "theirs", "status": {"state": "TASK_STATE_COMPLETED"}}},
    ]
    async with world() as found:
        serve(container, found, Remote(streaming=True, answers={"SendStreamingMessage": events}))
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=TEXT)
    assert (answer.status, answer.body) == (200, b"hi")


async def test_one_file_is_answered_with_its_name(container: PlainAgent) -> None:
    one = artifacts([{"raw": "aGk=", "mediaType": "application/pdf", "filename": "€\r\nX: y.pdf"}])
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": one}))
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=TEXT)
    assert (answer.status, answer.content_type, answer.body) == (200, "application/pdf", b"hi")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E2%82%AC%0D%0AX%3A%20y.pdf"
    assert "X" not in answer.headers


# errors name no inner address


@pytest.mark.parametrize("protocol", ["cloudevents", "http", "a2a"])
@pytest.mark.parametrize("failure", ["refused", "unknown host", "dropped", "slow", "no HTTP", "no TLS"])
async def test_an_error_names_no_inner_address_and_says_what_happened(
    container: PlainAgent, protocol: str, failure: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with world(limits=None) as found, raw_server(_odd(failure)) as odd:
        url = {"refused": closed, "unknown host": "http://inner.invalid:81", "no TLS": odd.replace("http:", "https:")}
        where = url.get(failure, odd)
        skills = [skill("say", invoke={"timeoutSeconds": 1})]
        found.agent(url=where, protocol=protocol, skills=skills)
        direct = await found.request("POST", SAY, data="x", headers=TEXT)
        task = (await found.rpc("SendMessage", {"message": message("x")}))["result"]["task"]
    texts = [direct.body.decode(), json.dumps(task["status"])]
    assert direct.status in (502, 504)
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    for text in texts:
        assert not re.search(r"127\.0\.0\.1|inner\.invalid|localhost|:\d{4,}", text), text
        if failure in ("dropped", "slow", "no HTTP"):
            assert "could not be called" not in text
            assert "cannot be reached" not in text


def _odd(failure: str) -> Any:
    async def conversation(reader: Any, writer: Any) -> None:
        if failure == "no TLS":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        await reader.readuntil(b"\r\n\r\n")
        if failure == "no HTTP":
            writer.write(b"SSH-2.0-x\r\n\r\n")
        elif failure == "slow":
            await reader.read()
            await reader.read()

    return conversation


async def test_an_event_of_another_agent_makes_no_task_of_a_call(gateway: World) -> None:
    async def conversation(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"ce-a2ataskid: (\S+)", head)
        assert found is not None
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "a2ataskid": found[1].decode()}
        headers = {"Content-Type": "application/cloudevents+json"}
        await gateway.request("POST", "/events/shop/from/other", data=json.dumps(event), headers=headers)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        gateway.agent("other", url=url)
        answer = await gateway.request("POST", SAY, data=b"x", headers=TEXT)
        assert answer.status == 200
        assert (await gateway.rpc("ListTasks", {}))["result"]["tasks"] == []


async def test_a_direct_call_ends_in_its_time_though_the_container_works_on(container: PlainAgent) -> None:
    working = by_hand.task("WORKING")
    server = Remote(answers={"SendMessage": {"task": working}, "GetTask": working, "CancelTask": working})
    async with world() as found:
        serve(container, found, server, skills=[skill("say", invoke={"timeoutSeconds": 1})])
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=TEXT)
    assert answer.status == 502
    assert b"did not finish the task in 1 s" in answer.body


async def test_the_range_that_names_multipart_most_exactly_counts(container: PlainAgent) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": SEVERAL}))
        headers = {**TEXT, "Accept": "*/*, multipart/mixed;q=0"}
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=headers)
    assert answer.body == b"one two"
