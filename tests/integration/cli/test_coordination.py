"""`lambdaagent registry`, `message`, `context`, `job`, `proposal` and `workflow`, as processes against a gateway."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts.access import guarded, of
from tests.parts.commands import Done, run
from tests.parts.gateway import World, skill, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url, skills=[skill("say", tags=["talk"])])
        yield found


async def call(gateway: World, *args: str, agent: str = "laptop", **more: Any) -> Done:
    return await run(*args, gateway_url=gateway.url, agent=agent, **more)


async def parsed(gateway: World, *args: str, **more: Any) -> Any:
    done = await call(gateway, *args, "-o", "json", **more)
    assert done.code == 0, done.err
    return json.loads(done.out)


async def test_an_agent_is_registered_listed_suspended_and_deleted(gateway: World) -> None:
    given = ("registry", "register", "laptop", "--capability", "search", "--capability", "sum", "--ttl", "90")
    made = await parsed(gateway, *given, "--data", '{"metadata": {"room": 7}}')
    assert (made["agent_id"], made["capabilities"], made["ttl_seconds"], made["metadata"]) == (
        "laptop",
        ["search", "sum"],
        90,
        {"room": 7},
    )
    table = (await call(gateway, "registry", "list")).out.splitlines()
    assert table[0].split() == ["ID", "STATUS", "PROTOCOLS", "DESCRIPTION"]
    assert [line.split()[0] for line in table[1:]] == ["laptop", "shop/echo"]
    assert (await call(gateway, "registry", "list", "-o", "name")).out == "laptop\nshop/echo\n"
    found = await call(gateway, "registry", "list", "--capability", "talk", "-o", "yaml")
    assert [each["agent_id"] for each in yaml.safe_load(found.out)["items"]] == ["shop/echo"]
    assert (await parsed(gateway, "registry", "get", "shop/echo"))["status"] == "active"
    assert "active" in (await call(gateway, "registry", "heartbeat", "laptop", "--load", "0.5")).out
    assert (await parsed(gateway, "registry", "suspend", "laptop"))["status"] == "suspended"
    assert (await parsed(gateway, "registry", "resume", "laptop"))["load"] == 0.5
    assert (await call(gateway, "registry", "delete", "laptop")).out == "laptop deleted\n"
    gone = await call(gateway, "registry", "get", "laptop")
    assert (gone.code, "GET /a2a/discover lists the agents" in gone.err) == (1, True)


async def test_a_list_has_every_page(gateway: World) -> None:
    for number in range(120):
        await gateway.request("POST", "/a2a/register", json={"agent_id": f"a{number:03}"})
    found = await parsed(gateway, "registry", "list")
    assert len(found["items"]) == 121


async def test_a_message_is_sent_read_and_acknowledged(gateway: World) -> None:
    for name in ("laptop", "desk"):
        await gateway.request("POST", "/a2a/register", json={"agent_id": name})
    sent = await parsed(gateway, "message", "send", "desk", "hello", "--type", "request", "--priority", "9")
    assert (sent["sender_agent_id"], sent["receivers"][0]["status"]) == ("laptop", "queued")
    (got,) = (await parsed(gateway, "message", "list", agent="desk"))["items"]
    assert (got["content"], got["metadata"]["priority"]) == ({"text": "hello"}, 9)
    assert "acknowledged" in (await call(gateway, "message", "ack", got["message_id"], agent="desk")).out
    state = await parsed(gateway, "message", "get", got["message_id"])
    assert state["receivers"] == [{"agent_id": "desk", "status": "acknowledged"}]
    subscription = await parsed(gateway, "message", "subscribe", "news.*", agent="desk")
    topic = await parsed(gateway, "message", "send", "topic:news.today", "--data", '{"sun": true}')
    assert [each["agent_id"] for each in topic["receivers"]] == ["desk"]
    assert "news.*" in (await call(gateway, "message", "subscriptions", agent="desk")).out
    assert (await call(gateway, "message", "unsubscribe", subscription["subscription_id"])).code == 0


async def test_a_mailbox_is_watched(gateway: World) -> None:
    await gateway.request("POST", "/a2a/register", json={"agent_id": "desk"})
    command = ["-m", "lambdaagent", "message", "list", "--watch", "--ack", "-o", "json", "--agent", "desk"]
    watching = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    try:
        for text in ("one", "two"):
            sent = await parsed(gateway, "message", "send", "desk", text)
            line = json.loads(await asyncio.wait_for(watching.stdout.readline(), 90))
            assert (line["message_id"], line["content"]) == (sent["message_id"], {"text": text})
    finally:
        watching.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(watching.communicate(), 90)
    assert (watching.returncode, err) == (130, b"")


async def test_a_context_is_created_changed_and_deleted(gateway: World) -> None:
    given = ("context", "create", "trip", "--data", '{"city": "Bern"}', "--strategy", "notes=append")
    made = await parsed(gateway, *given, "--participant", "laptop", "--ttl", "60")
    assert (made["strategies"], made["participants"], made["ttl_seconds"]) == ({"notes": "append"}, ["laptop"], 60)
    for note in ("a", "b"):
        changed = await parsed(gateway, "context", "patch", "trip", json.dumps({"notes": [note]}))
    assert changed["data"] == {"city": "Bern", "notes": ["a", "b"]}
    late = await call(gateway, "context", "patch", "trip", "{}", "--version", str(made["version"]))
    assert (late.code, "read it and decide again" in late.err) == (1, True)
    log = await parsed(gateway, "context", "deltas", "trip", "--since", str(made["version"]))
    assert [each["patch"][0]["op"] for each in log["items"]] == ["add", "add"]
    assert "Bern" in (await call(gateway, "context", "get", "trip")).out
    listed = await parsed(gateway, "context", "list")
    assert [(each["context_id"], each["version"]) for each in listed["items"]] == [("trip", changed["version"])]
    assert (await call(gateway, "context", "delete", "trip")).out == "trip deleted\n"


async def test_a_job_is_watched_until_it_ends(gateway: World) -> None:
    done = await call(gateway, "job", "create", "--type", "talk", "--data", '{"text": "hi"}', "--watch", "-o", "json")
    states = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, states[-1]["status"], states[-1]["assigned_agent_id"]) == (0, "completed", "shop/echo")
    task = await parsed(gateway, "job", "define", "Talk", "--type", "talk", "--retries", "0", "--timeout", "60")
    assert task["max_retries"] == 0
    assert "Talk" in (await call(gateway, "job", "tasks")).out
    waiting = await parsed(gateway, "job", "create", "--type", "nobody-can", "--id", "j1")
    assert (waiting["job_id"], waiting["status"]) == ("j1", "pending")
    assert (await parsed(gateway, "job", "cancel", "j1"))["status"] == "cancelled"
    assert (await call(gateway, "job", "get", "j1", "--watch")).code == 1
    listed = await parsed(gateway, "job", "list", "--status", "cancelled")
    assert [each["job_id"] for each in listed["items"]] == ["j1"]
    ended = await call(gateway, "job", "cancel", states[-1]["job_id"])
    assert (ended.code, "can no longer be canceled" in ended.err) == (1, True)
    assert (await call(gateway, "job", "undefine", task["task_id"])).code == 0


async def test_a_proposal_is_decided(gateway: World) -> None:
    for name in ("laptop", "desk"):
        await gateway.request("POST", "/a2a/register", json={"agent_id": name})
    given = ("proposal", "create", "Go?", "--elector", "laptop", "--elector", "desk", "--rule", "unanimous")
    made = await parsed(gateway, *given, "--deadline", "600")
    id_ = made["proposal_id"]
    assert (await parsed(gateway, "proposal", "vote", id_, "yes", "--reason", "Sun."))["votes"] == {"laptop": "yes"}
    assert (await parsed(gateway, "proposal", "vote", id_, "yes", agent="desk"))["status"] == "accepted"
    assert "accepted" in (await call(gateway, "proposal", "get", id_, "--watch")).out
    second = await parsed(gateway, *given)
    assert (await parsed(gateway, "proposal", "close", second["proposal_id"]))["status"] == "rejected"
    listed = await parsed(gateway, "proposal", "list", "--status", "rejected")
    assert [each["proposal_id"] for each in listed["items"]] == [second["proposal_id"]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["message", "send", "desk", "hi"], 2, "--from is missing"),
        (["message", "send", "desk", "--from", "a"], 2, "either TEXT or --data"),
        (["message", "send", "absent", "hi", "--from", "a"], 1, "no agent"),
        (["context", "create", "--data", "[1]"], 2, "must be a JSON object"),
        (["context", "create", "--data", "{"], 2, "is not JSON"),
        (["context", "create", "--data", "@/nowhere"], 2, "cannot be read"),
        (["context", "create", "--strategy", "x"], 2, "KEY=STRATEGY"),
        (["context", "get", "absent"], 1, "answered 404: There is no context"),
        (["job", "create"], 2, "either --type or --task"),
        (["registry", "list", "--status", "odd"], 1, "status must be one of"),
        (["registry", "list", "--url", "ftp://x"], 2, "no http or https URL"),
        (["registry", "list", "--url", "http://127.0.0.1:9"], 1, "name the gateway with --url"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_an_error_names_the_cause_and_the_next_step(
    gateway: World, arguments: list[str], code: int, said: str
) -> None:
    done = await call(gateway, *arguments, agent="")
    assert (done.code, said in done.err) == (code, True), done.err


async def test_a_credential_is_sent_and_asked_for(tmp_path: Path, issuer: Issuer) -> None:
    rules = {"issuers": [issuer.configured()], "registrars": ["corp:ann"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        refused = await call(gateway, "registry", "register", "laptop")
        assert (refused.code, "--token-file or LAMBDAAGENT_TOKEN" in refused.err) == (1, True)
        token = of(issuer, "ann")["Authorization"].removeprefix("Bearer ")
        (tmp_path / "token").write_text(token)
        given = ("registry", "register", "laptop", "--token-file", str(tmp_path / "token"))
        made = await parsed(gateway, *given, secrets=(token,))
        assert made["owner"] == "corp:ann"
        bob = of(issuer, "bob")["Authorization"].removeprefix("Bearer ")
        done = await call(gateway, "registry", "register", "desk", token=bob, secrets=(bob,))
        assert (done.code, "may not register" in done.err) == (1, True)


SAY = {"document": {"dsl": "1.0.3", "namespace": "x", "name": "say", "version": "1.0.0", "title": "Say it"}}


async def test_a_workflow_is_created_run_watched_and_deleted(gateway: World, tmp_path: Path) -> None:
    file = tmp_path / "say.yaml"
    file.write_text(yaml.safe_dump(SAY | {"do": [{"say": {"set": {"said": "${ .text }"}}}]}, sort_keys=False))
    made = await parsed(gateway, "workflow", "create", str(file))
    assert (made["name"], made["version"]) == ("say", "1.0.0")
    assert "Say it" in (await call(gateway, "workflow", "list")).out
    shown = await parsed(gateway, "workflow", "get", "say")
    assert list(shown["document"]["do"][0]) == ["say"]
    given = ("workflow", "run", "say", "--data", '{"text": "hi"}', "--id", "run_1234567890")
    done = await call(gateway, *given, "--watch", "-o", "json")
    states = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, states[-1]["status"], states[-1]["output"]) == (0, "completed", {"said": "hi"})
    assert (await parsed(gateway, *given))["run_id"] == "run_1234567890"
    listed = await parsed(gateway, "workflow", "runs", "say", "--status", "completed")
    assert [each["run_id"] for each in listed["items"]] == ["run_1234567890"]
    assert "completed" in (await call(gateway, "workflow", "status", "run_1234567890", "--watch")).out
    ended = await call(gateway, "workflow", "cancel", "run_1234567890")
    assert (ended.code, "can no longer be canceled" in ended.err) == (1, True)
    assert (await call(gateway, "workflow", "delete", "say")).out == "say deleted\n"


async def test_a_workflow_that_is_refused_is_shown_line_by_line(gateway: World, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(SAY | {"do": [{"a": {"run": {}}}, {"b": {"jump": {}}}]}, sort_keys=False))
    refused = await call(gateway, "workflow", "create", str(file))
    faults = [line for line in refused.err.splitlines() if line.startswith(f"{file}:")]
    assert refused.code == 1
    assert [each.split(": ")[1] for each in faults] == ["/do/0/a", "/do/1/b"]
    stdin = await call(gateway, "workflow", "create", "-", stdin=json.dumps(SAY | {"do": [{"a": {"set": {"b": 1}}}]}))
    assert stdin.code == 0, stdin.err
    missing = await call(gateway, "workflow", "create", str(tmp_path / "none.yaml"))
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


async def test_a_run_that_faults_ends_a_watch_with_code_1(gateway: World, tmp_path: Path) -> None:
    file = tmp_path / "raise.yaml"
    error = {"type": "https://example.com/no", "status": 409, "title": "No"}
    file.write_text(yaml.safe_dump(SAY | {"do": [{"no": {"raise": {"error": error}}}]}, sort_keys=False))
    await parsed(gateway, "workflow", "create", str(file))
    done = await call(gateway, "workflow", "run", "say", "--watch")
    assert (done.code, "faulted" in done.out) == (1, True)
