"""What the dispatcher reports of agents while RabbitMQ is away, or after it lost queues or events."""

import asyncio

import pytest
from tests.parts.consumers import TARGET, World, agent
from tests.parts.polling import eventually

from lambdaagent.api import naming
from lambdaagent.broker.protocol import Deaths, Loss
from lambdaagent.status.readiness import Readiness


async def test_an_absence_is_said_after_a_while_and_taken_back(world: World) -> None:
    world.serving.upsert(agent("a", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == "Ready")
    world.broker.here = False
    for _ in range(5):
        world.ticks.put_nowait(None)
    await eventually(world.ticks.empty)
    assert world.reason("a") == "Ready", "a restart is not worth a word"
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "RabbitMQUnavailable")
    assert "login refused" in world.message("a")
    world.broker.why = "there is no connection to RabbitMQ yet"
    world.ticks.put_nowait(None)
    await eventually(lambda: world.message("a").endswith(world.broker.why))
    world.broker.here = True
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "Ready")


@pytest.mark.parametrize(
    "name", ["lambdaagent.shop.lambdaagents", "lambdaagent.shop.agent.a", "lambdaagent.shop.dead-letters"]
)
async def test_what_somebody_deleted_on_rabbitmq_is_said_for_a_while(world: World, name: str) -> None:
    now = [1_000_000.0]
    world.serving.now = lambda: now[0]
    for each in ("a", "other"):
        world.serving.upsert(agent(each, subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == world.reason("other") == "Ready")
    world.broker.lost = {name: Loss(now[0], "RabbitMQ refused it")}
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "Missing")
    assert world.said["a"] == Readiness("False", "Missing", f"{name} was deleted on RabbitMQ: RabbitMQ refused it")
    world.broker.lost = {name: Loss(now[0])}
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "MadeAgain")
    assert f"{name} was missing on RabbitMQ at 1970-01-12T13:46:40Z" in world.message("a")
    assert world.reason("other") == ("Ready" if ".agent." in name else "MadeAgain")
    now[0] += 3601
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "Ready")


async def test_what_a_policy_of_rabbitmq_took_is_said_for_a_while_of_its_agent_alone(world: World) -> None:
    now = [1_000_000.0]
    world.serving.now = lambda: now[0]
    for each in ("a", "other"):
        world.serving.upsert(agent(each, subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == world.reason("other") == "Ready")
    queue = naming.queue("shop", "a")
    world.broker.dead = {(queue, "expired"): Deaths(3, now[0] - 60, now[0])}
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "DeadLetteredByRabbitMQ")
    said = world.said["a"]
    assert said is not None
    assert said.status == "True", "events go on"
    assert "at least 2 events since 1970-01-12T13:45:40Z" in said.message
    assert "message-ttl" in said.message
    assert said.message.startswith(f"queue {queue} has 1 bindings; ")
    assert world.reason("other") == "Ready"
    world.broker.lost = {queue: Loss(now[0])}
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "MadeAgain")
    assert "message-ttl" in world.message("a"), "both are said"
    world.broker.lost = {}
    now[0] += 3601
    world.ticks.put_nowait(None)
    await eventually(lambda: world.reason("a") == "Ready")
    assert "message-ttl" not in world.message("a")


async def test_a_flood_of_deaths_writes_a_condition_a_few_times(world: World) -> None:
    world.serving.upsert(agent("a", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == "Ready")
    messages: set[str] = set()
    since = world.serving.now()
    for count in range(1, 101):
        world.broker.dead = {(naming.queue("shop", "a"), "maxlen"): Deaths(count, since, world.serving.now())}
        world.ticks.put_nowait(None)
        await eventually(world.ticks.empty)
        await asyncio.sleep(0)
        messages.add(world.message("a"))
    assert 2 < len(messages) < 10


async def test_nothing_is_said_of_an_agent_without_eventing(world: World) -> None:
    world.serving.upsert(agent("plain"), TARGET)
    await eventually(lambda: "plain" in world.said)
    assert world.said["plain"] is None
