"""More calls than connections: each waits within its own deadline, and hears whose limit it was when that is over."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.parts.gateway import Answer, World, manifest, message, skill, world
from tests.parts.polling import eventually
from tests.parts.upstream import raw_server, read_request

from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.tasks.limits import EngineLimits as TaskLimits

A2A = "/agents/shop/echo/api/a2a"
SKILL = f"{A2A}/skills/say"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Gate:
    """A container that sends as many responses as the test allows, and counts its concurrent calls."""

    url: str = ""
    answers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    now: int = 0
    most: int = 0
    seen: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            self.now += 1
            self.seen += 1
            self.most = max(self.most, self.now)
            try:
                await self.answers.acquire()
            finally:
                self.now -= 1
            writer.write(OK)

    def let(self, count: int = 1_000) -> None:
        for _ in range(count):
            self.answers.release()

    async def holds(self, count: int) -> None:
        await eventually(lambda: self.now >= count)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate()
    async with raw_server(made.talk) as made.url:
        yield made
        made.let()


def within(seconds: int) -> list[dict[str, Any]]:
    return [skill("say", invoke={"timeoutSeconds": seconds})]


async def direct(gateway: World) -> Answer:
    return await gateway.request("POST", SKILL, data=b"x")


async def task(gateway: World, path: str = A2A) -> dict[str, Any]:
    found: dict[str, Any] = (await gateway.rpc("SendMessage", {"message": message()}, path=path))["result"]["task"]
    return found


def text(found: dict[str, Any]) -> str:
    return str(found["status"]["message"]["parts"][0]["text"])


@pytest.mark.parametrize("tasks", [False, True], ids=["direct calls", "tasks"])
async def test_every_call_of_a_burst_is_served_and_no_more_at_once_than_there_are_connections(
    gate: Gate, tasks: bool
) -> None:
    async with world(limits=PoolLimits(connections=4)) as gateway:
        gateway.agent(url=gate.url)
        calls = [asyncio.create_task(task(gateway) if tasks else direct(gateway)) for _ in range(60)]
        await gate.holds(4)
        gate.let()
        answers = await asyncio.gather(*calls)
    assert (gate.seen, gate.most) == (60, 4)
    for answer in answers:
        if isinstance(answer, Answer):
            assert (answer.status, answer.body) == (200, b"ok")
        else:
            assert answer["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_call_waits_longer_than_any_fixed_time_where_its_deadline_allows_it(gate: Gate) -> None:
    async with world(limits=PoolLimits(connections=1)) as gateway:
        gateway.agent(url=gate.url, skills=within(60))
        calls = [asyncio.create_task(direct(gateway)), asyncio.create_task(task(gateway))]
        await gate.holds(1)
        await asyncio.wait(calls, timeout=5.5)  # Half a second more than a queue of calls once lasted.
        gate.let()
        answer, ended = await asyncio.gather(*calls)
    assert isinstance(answer, Answer)
    assert isinstance(ended, dict)
    assert (answer.status, ended["status"]["state"]) == (200, "TASK_STATE_COMPLETED")


async def test_a_call_whose_deadline_passes_in_the_queue_hears_of_the_gateways_limit(gate: Gate) -> None:
    async with world(limits=PoolLimits(connections=1)) as gateway:
        gateway.agent(url=gate.url, skills=within(60))
        held = asyncio.create_task(direct(gateway))
        await gate.holds(1)
        gateway.agent(url=gate.url, skills=within(1))
        began = time.monotonic()
        answer, ended = await asyncio.gather(direct(gateway), task(gateway))
        seconds = time.monotonic() - began
        gate.let()
        assert (await held).status == 200
    problem = await answer.json()
    assert (answer.status, problem["type"]) == (429, "urn:lambdaagent:problem:agent-busy")
    assert answer.headers["Retry-After"] == "5"
    assert ended["status"]["state"] == "TASK_STATE_FAILED"
    for said in (problem["detail"], text(ended)):
        assert said.startswith("The gateway's limit of 1 connections to the agent shop/echo is reached: all 1 ")
    assert "LAMBDAAGENT_AGENT_CONNECTIONS" in text(ended)
    assert 0.9 < seconds < 4
    assert gate.seen == 1


async def test_what_a_call_waited_is_taken_from_the_time_that_the_agent_has(gate: Gate) -> None:
    async with world(limits=PoolLimits(connections=1)) as gateway:
        gateway.agent(url=gate.url, skills=within(60))
        held = asyncio.create_task(direct(gateway))
        await gate.holds(1)
        gateway.agent(url=gate.url, skills=within(2))
        began = time.monotonic()
        waiting = asyncio.create_task(direct(gateway))
        await asyncio.wait([waiting], timeout=1.2)
        gate.let(1)
        await held
        await gate.holds(1)
        answer = await waiting
    assert (answer.status, (await answer.json())["type"]) == (504, "urn:lambdaagent:problem:agent-slow")
    assert 1.8 < time.monotonic() - began < 3
    assert b"did not begin to answer in 0." in answer.body


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        pytest.param({}, 3, id="says nothing"),
        pytest.param({"serving": {"containerConcurrency": 2}}, 3, id="any number of pods"),
        pytest.param({"scaling": {"maxReplicas": 2}}, 3, id="any number per pod"),
        pytest.param({"serving": {"containerConcurrency": 0}, "scaling": {"maxReplicas": 2}}, 3, id="no limit per pod"),
        pytest.param({"serving": {"containerConcurrency": 1}, "scaling": {"maxReplicas": 2}}, 2, id="fewer"),
        pytest.param({"serving": {"containerConcurrency": 4}, "scaling": {"maxReplicas": 2}}, 8, id="more"),
    ],
)
async def test_the_limit_is_what_the_agents_pods_take_at_once(gate: Gate, spec: dict[str, Any], most: int) -> None:
    async with world(limits=PoolLimits(connections=3)) as gateway:
        gateway.add(manifest(a2a={"enabled": True, "skills": [skill("say")]}, **spec), url=gate.url)
        calls = [asyncio.create_task(direct(gateway)) for _ in range(12)]
        await gate.holds(most)
        gate.let(12)
        await asyncio.gather(*calls)
        assert gate.most == most
        gate.most = 0
        changed = {"serving": {"containerConcurrency": 5}, "scaling": {"maxReplicas": 1}}
        gateway.add(manifest(a2a={"enabled": True, "skills": [skill("say")]}, **changed), url=gate.url)
        calls = [asyncio.create_task(direct(gateway)) for _ in range(12)]
        await gate.holds(5)
        gate.let()
        await asyncio.gather(*calls)
        assert gate.most == 5


async def test_calls_that_wait_for_one_agent_keep_no_place_from_those_to_another(gate: Gate) -> None:
    quick = Gate()
    quick.let()
    limits, tasks = PoolLimits(connections=1), TaskLimits(running=2)
    async with raw_server(quick.talk) as quick.url, world(limits=limits, tasks=tasks) as gateway:
        gateway.agent(url=gate.url, skills=within(60))
        gateway.agent("quick", url=quick.url)
        waiting = [asyncio.create_task(task(gateway)) for _ in range(10)]
        await gate.holds(1)
        async with asyncio.timeout(10):
            ended = await asyncio.gather(*(task(gateway, path="/agents/shop/quick/api/a2a") for _ in range(5)))
        assert [each["status"]["state"] for each in ended] == ["TASK_STATE_COMPLETED"] * 5
        assert gate.seen == 1
        gate.let()
        ended = await asyncio.gather(*waiting)
        assert [each["status"]["state"] for each in ended] == ["TASK_STATE_COMPLETED"] * 10
        assert gate.most == 1


async def test_the_limit_of_a_process_holds_for_calls_that_come_back_from_the_queue(gate: Gate) -> None:
    other = Gate()
    async with raw_server(other.talk) as other.url, world(tasks=TaskLimits(running=1)) as gateway:
        for name, url in (("echo", gate.url), ("other", other.url)):
            spec = {"serving": {"containerConcurrency": 1}, "scaling": {"maxReplicas": 1}}
            gateway.add(manifest(name, a2a={"enabled": True, "skills": within(60)}, **spec), url=url)
        held = asyncio.create_task(direct(gateway))
        await gate.holds(1)
        waiting = asyncio.create_task(task(gateway))
        running = asyncio.create_task(task(gateway, path="/agents/shop/other/api/a2a"))
        await other.holds(1)
        gate.let()
        await held
        assert gate.seen == 1  # The connection is free and the place is not.
        other.let()
        ended = await asyncio.gather(waiting, running)
        assert [each["status"]["state"] for each in ended] == ["TASK_STATE_COMPLETED"] * 2


async def test_a_task_whose_turn_does_not_come_is_not_said_to_be_unfinished(gate: Gate) -> None:
    async with world() as gateway:
        gateway.agent(url=gate.url, skills=within(60), maxConcurrentTasks=1)
        first = asyncio.create_task(task(gateway))
        await gate.holds(1)
        gateway.agent(url=gate.url, skills=within(1), maxConcurrentTasks=1)
        ended = await task(gateway)
        assert "works on 1 tasks at once (spec.a2a.maxConcurrentTasks)" in text(ended)
        assert ended["status"]["state"] == "TASK_STATE_FAILED"
        gate.let(1)
        assert (await first)["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_what_a_task_waited_for_its_turn_is_taken_from_the_time_that_the_agent_has(gate: Gate) -> None:
    async with world() as gateway:
        gateway.agent(url=gate.url, skills=within(2), maxConcurrentTasks=1)
        first = asyncio.create_task(task(gateway))
        await gate.holds(1)
        second = asyncio.create_task(task(gateway))
        await asyncio.wait([second], timeout=1.2)
        gate.let(1)
        await first
        assert "did not begin to answer in 0." in text(await second)
