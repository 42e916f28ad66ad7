"""`lambdaagent tasks`, as processes against a gateway."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from tests.parts.commands import Done, run
from tests.parts.gateway import World, message, world
from tests.parts.upstream import PlainAgent, TalkingAgent, talking_agent


@pytest.fixture
async def talking() -> AsyncIterator[TalkingAgent]:
    async with talking_agent() as agent:
        yield agent


@pytest.fixture
async def gateway(container: PlainAgent, talking: TalkingAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        found.agent("talker", url=talking.url)
        yield found


async def begun(gateway: World, agent: str, text: str = "hello") -> str:
    sent = {"message": message(text), "configuration": {"returnImmediately": agent == "talker"}}
    answer = await gateway.rpc("SendMessage", sent, path=f"/agents/shop/{agent}/api/a2a")
    id_: str = answer["result"]["task"]["id"]
    return id_


async def call(gateway: World, *args: str, **more: Any) -> Done:
    return await run("tasks", *args, gateway_url=gateway.url, **more)


async def test_tasks_are_listed_and_shown_in_every_form(gateway: World) -> None:
    ids = [await begun(gateway, "echo", f"text {number}") for number in range(3)]
    table = (await call(gateway, "list", "echo")).out.splitlines()
    assert table[0].split() == ["TASK", "STATE", "UPDATED", "CONTEXT", "SAID"]
    assert {line.split()[0] for line in table[1:]} == set(ids)
    assert {line.split()[1] for line in table[1:]} == {"completed"}
    names = await call(gateway, "list", "shop/echo", "--limit", "2", "--status", "completed", "-o", "name")
    assert len(names.out.splitlines()) == 2
    none = await call(gateway, "list", "echo", "--status", "working", "-o", "json")
    assert json.loads(none.out) == {"items": []}
    shown = yaml.safe_load((await call(gateway, "get", "echo", ids[0], "-o", "yaml")).out)
    assert (shown["id"], shown["artifacts"][0]["parts"][0]["data"]["you_said"]) == (ids[0], "text 0")
    watched = await call(gateway, "watch", "echo", ids[0], "-o", "json")
    assert (watched.code, json.loads(watched.out)["task"]["id"]) == (0, ids[0])


async def test_a_task_is_watched_until_it_is_canceled(gateway: World, talking: TalkingAgent) -> None:
    id_ = await begun(gateway, "talker")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "tasks", "watch", "talker", id_,
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [(await asyncio.wait_for(process.stdout.readline(), 60)).decode() for _ in range(2)]
    assert (lines[0].split()[0], lines[1].split()[:2]) == ("TASK", [id_, "working"])
    canceled = await call(gateway, "cancel", "talker", id_, "-o", "json")
    assert json.loads(canceled.out)["status"]["state"] == "TASK_STATE_CANCELED"
    rest, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, rest.decode().split()[:2]) == (1, [id_, "canceled"])
    again = await call(gateway, "cancel", "talker", id_)
    assert (again.code, "has ended already" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["get", "echo", "absent"], 1, "`lambdaagent tasks list shop/echo` lists your tasks"),
        (["list", "echo", "--status", "odd"], 2, "--status odd: give "),
        (["list", "absent"], 1, "`lambdaagent agents list` shows the agents"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_an_error_names_the_cause_and_the_next_step(
    gateway: World, arguments: list[str], code: int, said: str
) -> None:
    done = await call(gateway, *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
