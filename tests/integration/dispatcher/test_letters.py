"""An event that died at the dispatcher, found and brought back by the command that people have."""

import json

from tests.parts.agents import Agents, Container, subscribed
from tests.parts.commands import dlq
from tests.parts.dispatching import event, routed
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running

from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker


async def listed(url: str, namespace: str, count: int) -> list[dict[str, object]]:
    """Lists letters until there are `count`; a letter appears a moment after the agent's response."""
    for _ in range(20):
        done = await dlq("list", "-n", namespace, "-o", "json", amqp_url=url)
        assert done.code == 0, done.err
        found: list[dict[str, object]] = json.loads(done.out)["items"]
        if len(found) == count:
            return found
    raise AssertionError(f"{len(found)} letters instead of {count}")


async def test_a_dead_event_is_seen_and_redriven_to_an_agent_that_was_mended(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker, own_rabbitmq: RabbitMQ
) -> None:
    container.answer = lambda got: (503 if got.id == "1" else 422, {}, b"")
    agents.make("mended", url=container.url, subscriptions=subscribed("io.test.wanted"), delivery={"retry": 1})
    await agents.eventing_ready("mended")
    for id_ in ("1", "2"):
        await routed(broker, agents.namespace, event(id_))
    found = {str(each["eventId"]): each for each in await listed(own_rabbitmq.url, agents.namespace, 2)}
    assert {id_: (each["code"], each["attempts"]) for id_, each in found.items()} == {"1": (503, 2), "2": (422, 1)}
    assert {each["agent"] for each in found.values()} == {f"{agents.namespace}/mended"}
    assert str(found["1"]["destination"]).startswith(container.url)

    # It dies again while the agent is as it was, and is delivered when it is mended, although it is known.
    again = await dlq("redrive", str(found["2"]["id"]), "-n", agents.namespace, amqp_url=own_rabbitmq.url)
    assert again.out == "1 redriven\n"
    await eventually(lambda: container.ids == ["1", "1", "2", "2"])
    await listed(own_rabbitmq.url, agents.namespace, 2)
    container.answer = lambda got: (202, {}, b"")
    done = await dlq("redrive", "--all", "-n", agents.namespace, "--agent", "mended", amqp_url=own_rabbitmq.url)
    assert (done.code, done.out) == (0, "2 redriven\n")
    await eventually(lambda: sorted(container.ids[4:]) == ["1", "2"])
    assert {got.headers["ce-attempt"] for got in container.got[4:]} == {"1"}
    assert not [name for got in container.got[4:] for name in got.headers if "knative" in name]
    await listed(own_rabbitmq.url, agents.namespace, 0)
