"""Which queues, bindings and consumers exist while agents come, change and go."""

import asyncio
from dataclasses import replace

import pytest
from tests.parts.consumers import TARGET, World, agent
from tests.parts.polling import eventually

from lambdaagent.api import naming
from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.events.cloudevents import Event
from lambdaagent.status.readiness import Readiness


async def test_an_agent_that_changes_is_consumed_anew_and_one_that_goes_is_not(world: World) -> None:
    exchange = "lambdaagent.shop.lambdaagents"
    world.serving.upsert(agent("a", subscriptions=[{"eventType": "t"}]), TARGET)
    world.serving.upsert(agent("b", subscriptions=[{"eventType": "t"}]), None)
    await eventually(lambda: world.reason("b") == "Ready")
    assert "until the agent has an address" in (world.said["b"] or Readiness("True", "")).message
    await world.broker.publish(Event("1", "/s", "t"), exchange=exchange)
    await eventually(lambda: world.got == [("a", "1")])
    world.serving.upsert(agent("b", subscriptions=[{"eventType": "t"}], parallelism=3), TARGET)
    await eventually(lambda: ("b", "1") in world.got)
    world.serving.remove(("shop", "a"))
    await eventually(lambda: world.serving.consumers == 1)
    await world.broker.publish(Event("2", "/s", "t"), exchange=exchange)
    await eventually(lambda: ("b", "2") in world.got)
    assert ("a", "2") not in world.got


async def test_what_an_unreadable_agent_has_stays_and_goes_with_it(world: World) -> None:
    exchange, queue = "lambdaagent.shop.lambdaagents", "lambdaagent.shop.agent.odd"
    await world.broker.declare(ExchangeDeclaration(exchange, {queue: [Binding({"type": "t"})]}))
    await world.broker.publish(Event("1", "/s", "t"), exchange=exchange)
    world.serving.unreadable(("shop", "odd"))
    world.serving.upsert(agent("a", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == "Ready")
    await world.broker.publish(Event("2", "/s", "t"), exchange=exchange)
    assert len(world.broker._queues[queue].entries) == 2
    world.serving.remove(("shop", "odd"))
    await eventually(lambda: not world.broker._queues[queue].entries)
    assert world.broker.bound(exchange) == {"lambdaagent.shop.agent.a"}


async def test_what_stands_in_a_namespace_that_is_not_seen_is_not_touched(world: World) -> None:
    elsewhere = "lambdaagent.bank.lambdaagents"
    await world.broker.declare(ExchangeDeclaration(elsewhere, {"lambdaagent.bank.agent.b": [Binding({})]}))
    world.serving.upsert(agent("a", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("a") == "Ready")
    assert elsewhere in await world.broker.exchanges()


async def test_the_queue_of_an_agent_that_is_seen_late_keeps_its_events(world: World) -> None:
    """Another dispatcher saw it first, and made its queue; this one's next pass is about another agent."""
    subscribed = {"subscriptions": [{"eventType": "t"}]}
    world.serving.upsert(agent("first", **subscribed), TARGET)
    await eventually(lambda: world.reason("first") == "Ready")
    (exchange,) = await world.broker.exchanges()
    theirs = naming.queue("shop", "late")
    ours = {queue: [Binding({"type": "t"})] for queue in world.broker.bound(exchange)}
    await world.broker.declare(ExchangeDeclaration(exchange, {**ours, theirs: [Binding({"type": "late"})]}))
    event = Event(id="e", source="/s", type="late")
    assert await world.broker.publish(event, exchange=exchange)
    world.serving.upsert(agent("second", **subscribed), TARGET)
    await eventually(lambda: world.reason("second") == "Ready")
    assert await world.broker.publish(replace(event, id="f"), exchange=exchange)
    world.serving.upsert(agent("late", subscriptions=[{"eventType": "late"}]), TARGET)
    await eventually(lambda: sorted(world.got) == [("late", "e"), ("late", "f")])


@pytest.mark.parametrize("made", ["another agent's queue", "another subscription of an agent"])
async def test_what_another_dispatcher_binds_in_the_middle_of_a_pass_stays(world: World, made: str) -> None:
    """It has seen more than this one, which hears of it later: events that come until then are not to be lost."""
    declare, raced = world.broker.declare, asyncio.Event()
    theirs = naming.queue("shop", "late" if made.endswith("queue") else "first")

    async def beaten(wanted: ExchangeDeclaration) -> frozenset[str]:
        if not raced.is_set():
            raced.set()
            new = {theirs: [*wanted.queues.get(theirs, ()), Binding({"type": "late"})]}
            await declare(replace(wanted, queues={**wanted.queues, **new}))
        return await declare(wanted)

    world.broker.declare = beaten  # type: ignore[method-assign]
    world.serving.upsert(agent("first", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("first") == "Ready")
    (exchange,) = await world.broker.exchanges()
    assert await world.broker.publish(Event(id="e", source="/s", type="late"), exchange=exchange)
    name = theirs.rpartition(".")[2]
    subscriptions = [{"eventType": "late"}, *([{"eventType": "t"}] if name == "first" else [])]
    world.serving.upsert(agent(name, subscriptions=subscriptions), TARGET)
    await eventually(lambda: world.got == [(name, "e")])


async def test_what_an_agent_no_longer_subscribes_to_is_unbound_at_once(world: World) -> None:
    kinds = [{"eventType": "t"}, {"eventType": "u"}]
    world.serving.upsert(agent("a", subscriptions=kinds), TARGET)
    await eventually(lambda: world.reason("a") == "Ready")
    (exchange,) = await world.broker.exchanges()
    queue = naming.queue("shop", "a")
    world.serving.upsert(agent("a", subscriptions=kinds[:1]), TARGET)
    await eventually(lambda: len(world.broker._bindings[exchange][queue]) == 1)
    world.serving.upsert(agent("a"), TARGET)
    await eventually(lambda: exchange not in world.broker._bindings)


async def test_the_queue_of_an_agent_that_comes_again_and_is_seen_late_keeps_its_events(world: World) -> None:
    """Another dispatcher sees sooner that the agent of this name is there again."""
    subscribed = {"subscriptions": [{"eventType": "t"}]}
    again = agent("again", subscriptions=[{"eventType": "again"}])
    world.serving.upsert(agent("first", **subscribed), TARGET)
    world.serving.upsert(again, TARGET)
    await eventually(lambda: world.reason("again") == "Ready")
    (exchange,) = await world.broker.exchanges()
    theirs = naming.queue("shop", "again")
    world.serving.remove(("shop", "again"))
    await eventually(lambda: theirs not in world.broker.bound(exchange))
    ours = {queue: [Binding({"type": "t"})] for queue in world.broker.bound(exchange)}
    await world.broker.declare(ExchangeDeclaration(exchange, {**ours, theirs: [Binding({"type": "again"})]}))
    assert await world.broker.publish(Event(id="e", source="/s", type="again"), exchange=exchange)
    world.serving.upsert(agent("second", **subscribed), TARGET)
    await eventually(lambda: world.reason("second") == "Ready")
    world.serving.upsert(again, TARGET)
    await eventually(lambda: world.got == [("again", "e")])


async def test_a_binding_that_went_and_comes_again_has_its_time_anew(world: World) -> None:
    now = [0.0]
    world.serving.monotonic = lambda: now[0]
    world.serving.upsert(agent("first", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("first") == "Ready")
    (exchange,) = await world.broker.exchanges()
    ours = {queue: [Binding({"type": "t"})] for queue in world.broker.bound(exchange)}
    late = naming.queue("shop", "late")

    async def passes(name: str) -> None:
        world.serving.upsert(agent(name, subscriptions=[{"eventType": "t"}]), TARGET)
        await eventually(lambda: world.reason(name) == "Ready")
        ours[naming.queue("shop", name)] = [Binding({"type": "t"})]

    for start in (0.0, 60.0):
        now[0] = start
        await world.broker.declare(ExchangeDeclaration(exchange, {**ours, late: [Binding({"type": "late"})]}))
        await passes(f"a{start:.0f}")
        assert late in world.broker.bound(exchange)
        now[0] = start + 11
        await passes(f"b{start:.0f}")
        assert late not in world.broker.bound(exchange)


async def test_what_nobody_knows_goes_in_time_though_other_agents_change(world: World) -> None:
    now = [0.0]
    world.serving.monotonic = lambda: now[0]
    left = naming.queue("shop", "forgotten")
    exchange = "lambdaagent.shop.lambdaagents"
    await world.broker.declare(ExchangeDeclaration(exchange, {left: [Binding({"type": "t"})]}))
    world.serving.upsert(agent("first", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("first") == "Ready")
    assert left in world.broker.bound(exchange)
    world.serving.upsert(agent("plain"), TARGET)  # a pass that declares nothing
    await eventually(lambda: "plain" in world.said)
    now[0] = 11.0
    world.serving.upsert(agent("other"), TARGET)
    await eventually(lambda: left not in world.broker.bound(exchange))


async def test_the_queue_of_an_agent_that_nobody_knows_goes_after_a_while(world: World) -> None:
    now = [0.0]
    world.serving.monotonic = lambda: now[0]
    world.serving.resync = 0.05
    world.serving.upsert(agent("first", subscriptions=[{"eventType": "t"}]), TARGET)
    await eventually(lambda: world.reason("first") == "Ready")
    (exchange,) = await world.broker.exchanges()
    ours = {queue: [Binding({"type": "t"})] for queue in world.broker.bound(exchange)}
    left = naming.queue("shop", "forgotten")
    await world.broker.declare(ExchangeDeclaration(exchange, {**ours, left: [Binding({"type": "t"})]}))
    await asyncio.sleep(0.2)
    assert left in world.broker.bound(exchange)
    now[0] = 11.0
    await eventually(lambda: left not in world.broker.bound(exchange))
