"""The dispatcher process between a real API server, a real RabbitMQ and agents: what it makes, delivers and says."""

import asyncio
import urllib.error
from pathlib import Path

import pytest
from tests.parts.agents import Agents, Container, subscribed
from tests.parts.broker import Inbox
from tests.parts.dispatching import event, routed
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running

from lambdaagent.api import naming
from lambdaagent.broker.bindings import ExchangeDeclaration
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.events.cloudevents import Event


async def test_an_event_reaches_the_agent_that_subscribes_to_it(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    agents.make("hears", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("hears")
    assert "bindings" in agents.condition("hears")["message"]
    assert await routed(broker, agents.namespace, event("1"))
    assert not await routed(broker, agents.namespace, event("2", "io.test.other"))
    await eventually(lambda: container.ids == ["1"])
    got = container.got[0]
    assert (got.headers["ce-type"], got.headers["ce-attempt"], got.body) == ("io.test.wanted", "1", b"{}")
    await eventually(lambda: dispatcher.metric('lambdaagent_dispatcher_deliveries_total{outcome="delivered"}') == 1)


async def test_patterns_are_matched_and_own_events_do_not_come_back(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    agents.make("globs", url=container.url, subscriptions=subscribed("io.test.k8s.*"), eventSource="/own", skipOwn=True)
    await agents.eventing_ready("globs")
    for number, kind in enumerate(["io.test.k8s.pod.gone", "io.test.other", "io.test.k8s.node"]):
        await routed(broker, agents.namespace, event(str(number), kind))
    own = Event(id="own", source="/own", type="io.test.k8s.pod", data=b"")
    await routed(broker, agents.namespace, own)
    await routed(broker, agents.namespace, event("last", "io.test.k8s.last"))
    await eventually(lambda: "last" in container.ids)
    assert container.ids == ["0", "2", "last"]


async def test_what_is_published_twice_is_delivered_once(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    agents.make("once", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("once")
    for id_ in ("1", "1", "2", "1", "3"):
        await routed(broker, agents.namespace, event(id_))
    await eventually(lambda: "3" in container.ids)
    assert container.ids == ["1", "2", "3"]


async def test_a_failing_event_dies_with_its_cause_and_the_others_follow_in_order(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    container.answer = lambda got: (503 if got.id == "1" else 422 if got.id == "2" else 202, {}, b"")
    agents.make("fails", url=container.url, subscriptions=subscribed("io.test.wanted"), delivery={"retry": 2})
    await agents.eventing_ready("fails")
    for number in range(4):
        await routed(broker, agents.namespace, event(str(number)))
    await eventually(lambda: "3" in container.ids)
    assert container.ids == ["0", "1", "1", "1", "2", "3"]
    assert [got.headers["ce-attempt"] for got in container.got[1:4]] == ["1", "2", "3"]
    letters = await taken(broker, naming.dead_letters(agents.namespace), 2)
    assert [(letter.id, letter.extensions["knativeerrorcode"]) for letter in letters] == [("1", 503), ("2", 422)]


async def taken(broker: RabbitMQBroker, queue: str, count: int) -> list[Event]:
    inbox = Inbox()
    async with broker.consume(queue, parallelism=1, handler=inbox, dead_letters=f"{queue}.again"):
        await eventually(lambda: len(inbox.got) >= count)
    return [delivery.event for delivery in inbox.got]


async def test_the_answer_of_an_agent_goes_to_those_who_subscribe_to_it(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    reply = {"ce-specversion": "1.0", "ce-id": "r", "ce-type": "io.test.reply", "ce-source": "/asked"}
    container.answer = lambda got: (
        (200, reply, b"answer") if got.headers["ce-type"] == "io.test.wanted" else (202, {}, b"")
    )
    agents.make("asked", url=container.url, subscriptions=subscribed("io.test.wanted"))
    agents.make("listens", url=container.url, subscriptions=subscribed("io.test.reply"))
    await agents.eventing_ready("asked")
    await agents.eventing_ready("listens")
    await routed(broker, agents.namespace, event("1"))
    await eventually(lambda: container.ids == ["1", "r"])


async def test_events_wait_for_an_agent_that_has_no_address_yet(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    agents.make("later", url=None, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("later")
    assert await routed(broker, agents.namespace, event("1"))
    agents.make("later", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await eventually(lambda: container.ids == ["1"])


@pytest.mark.parametrize("meanwhile", [pytest.param(False, id="running"), pytest.param(True, id="while it is down")])
async def test_what_an_agent_had_goes_with_it(
    dispatcher: Running,
    agents: Agents,
    container: Container,
    broker: RabbitMQBroker,
    meanwhile: bool,
) -> None:
    for name in ("stays", "goes"):
        agents.make(name, url=container.url, subscriptions=subscribed(f"io.test.{name}"))
        await agents.eventing_ready(name)
    foreign = f"foreign-{agents.namespace}"
    await broker.declare(ExchangeDeclaration(foreign, {foreign: []}))
    if meanwhile:
        dispatcher.kill()
    agents.remove("goes")
    if meanwhile:
        dispatcher.start()
    goes, stays = (naming.queue(agents.namespace, name) for name in ("goes", "stays"))
    missing = broker._topology._missing
    await eventually(lambda: missing("queue_declare", queue=[goes]), within=40)
    assert not await missing("queue_declare", queue=[stays])
    agents.remove("stays")
    await eventually(lambda: missing("queue_declare", queue=[stays]), within=40)
    exchanges = [naming.exchange(agents.namespace), foreign]
    assert await missing("exchange_declare", exchange=exchanges) == {exchanges[0]}
    await broker.remove_exchange(foreign)
    await broker.remove_queue(foreign)


async def test_a_policy_that_takes_an_agents_events_is_said_in_its_condition_and_counted(
    dispatcher: Running, agents: Agents, broker: RabbitMQBroker, own_rabbitmq: RabbitMQ
) -> None:
    agents.make("limited", url=None, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("limited")
    queue = naming.queue(agents.namespace, "limited")
    pattern = f"^{queue.replace('.', '[.]')}$"
    await asyncio.to_thread(own_rabbitmq.ctl, "set_policy", queue, pattern, '{"message-ttl": 1}')
    try:
        assert await routed(broker, agents.namespace, event("1"))
        await eventually(lambda: agents.condition("limited").get("reason") == "DeadLetteredByRabbitMQ", within=30)
    finally:
        await asyncio.to_thread(own_rabbitmq.ctl, "clear_policy", queue)
    said = agents.condition("limited")
    assert said["status"] == "True"
    assert "at least 1 event since" in said["message"] and "message-ttl" in said["message"]
    assert dispatcher.metric('lambdaagent_dispatcher_dead_lettered_by_rabbitmq_total{reason="expired"}') == 1


async def test_readiness_says_why_rabbitmq_cannot_be_used_and_no_password(
    settings: dict[str, str], own_rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    wrong = settings | {"LAMBDAAGENT_AMQP_URL": own_rabbitmq.url.replace("guest:guest", "guest:hunter2")}
    found = Running("dispatcher", tmp_path / "dispatcher", wrong)
    found.folder.mkdir()
    found.launch()
    try:
        await eventually(lambda: "refused the login" in readiness(found), within=60)
        assert "'guest'" in readiness(found)
        assert "hunter2" not in readiness(found)
    finally:
        found.stop()


def readiness(process: Running) -> str:
    try:
        return process.get("/readyz")
    except urllib.error.HTTPError as problem:
        return problem.read().decode()
    except OSError:
        return ""
