"""`dev --amqp`: the same agents on a real RabbitMQ, where a confirmed event survives the death of everything else."""

import asyncio
import secrets
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from tests.parts.dev import Dev, dev
from tests.parts.dev_agents import AGENT
from tests.parts.polling import wait
from tests.parts.rabbitmq import ForeignRabbitMQ, RabbitMQ

from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker

YAML = """\
apiVersion: lambda.knative.io/v1alpha1
kind: LambdaAgent
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{dev.lambda.knative.io/command: "{python} {script}"}}
spec:
  image: {{repository: r}}
  eventing:
    subscriptions:
      - {{eventType: test.{name}}}
      - {{eventType: test.sourced, source: /other}}
      - {{eventType: test.refused}}
    delivery: {{retry: 5, backoffDelay: PT0.1S}}
"""


@pytest.fixture
def namespace() -> str:
    """Returns a namespace for one test; the names of its exchanges and queues hold it."""
    return f"test-{secrets.token_hex(4)}"


def write(folder: Path, namespace: str, name: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(YAML.format(name=name, namespace=namespace, python=sys.executable, script=AGENT))
    return path


def test_an_event_reaches_exactly_those_that_subscribe_to_type_and_source(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, namespace: str, tmp_path: Path
) -> None:
    write(tmp_path, namespace, "one")
    write(tmp_path, namespace, "two")
    with dev(tmp_path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        assert routed(running, "test.two", "for-two", namespace) == "1"
        assert routed(running, "test.sourced", "wrong-source", namespace) == "0"
        assert routed(running, "test.nobody", "for-nobody", namespace) == "0"
        assert routed(running, "test.one", "for-one", namespace) == "1"
        running.wait_for(f"[{namespace}/two] got test.two for-two")
        running.wait_for(f"[{namespace}/one] got test.one for-one")
        assert not running.says("wrong-source")
        assert not running.says(f"[{namespace}/one] got test.two")


def routed(running: Dev, kind: str, event_id: str, namespace: str) -> str:
    answer = running.send_event(kind, event_id=event_id, namespace=namespace)
    assert answer.status_code == 202
    return answer.headers["lambdaagent-routed"]


def test_a_confirmed_event_survives_kill_9_of_everything_but_rabbitmq(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, namespace: str, tmp_path: Path
) -> None:
    path = write(tmp_path, namespace, "one")
    sent = [f"event-{number}" for number in range(20)]
    with dev(path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        # The first delivery holds the queue (parallelism 1), so the others are confirmed and not yet delivered.
        running.send_event("test.one", event_id="holds", namespace=namespace, data=b"slow")
        running.wait_for("got test.one holds slow")
        for event_id in sent:
            assert routed(running, "test.one", event_id, namespace) == "1"
        running.kill()
    with dev(path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        for event_id in sent:
            running.wait_for(f"[{namespace}/one] got test.one {event_id}", within=40)


def test_an_event_that_the_agent_refuses_is_kept_with_its_cause(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, namespace: str, tmp_path: Path
) -> None:
    path = write(tmp_path, namespace, "one")
    with dev(path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        assert routed(running, "test.refused", "poison", namespace) == "1"
        running.wait_for("delivery.given_up")
        letter = asyncio.run(take(rabbitmq.url, f"lambdaagent.{namespace}.dead-letters"))
    assert letter["id"] == "poison"
    assert letter["knativeerrorcode"] == 422
    assert b64decode(str(letter["knativeerrordata"])) == b"the agent answered 422"


async def take(url: str, queue: str) -> dict[str, object]:
    from lambdaagent.broker.protocol import ACK, BrokerDelivery, DeliveryOutcome

    found: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    async def handle(delivery: BrokerDelivery) -> DeliveryOutcome:
        if not found.done():
            found.set_result(dict(delivery.event.attributes()))
        return ACK

    async with RabbitMQBroker(url=url) as broker:
        await broker.wait_ready()
        async with broker.consume(queue, parallelism=1, handler=handle, dead_letters=queue):
            return await asyncio.wait_for(found, 20)


def test_a_changed_subscription_is_rebound_and_an_old_one_gone(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, namespace: str, tmp_path: Path
) -> None:
    path = write(tmp_path, namespace, "one")
    with dev(path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        assert routed(running, "test.one", "before", namespace) == "1"
        running.kill()
    path.write_text(path.read_text().replace("test.one", "test.other"))
    with dev(path, "--amqp", rabbitmq.url, data=tmp_path / "data") as running:
        assert routed(running, "test.one", "after", namespace) == "0"
        assert routed(running, "test.other", "new", namespace) == "1"


def test_dev_outlives_a_restart_of_rabbitmq(own_rabbitmq: RabbitMQ, namespace: str, tmp_path: Path) -> None:
    path = write(tmp_path, namespace, "one")
    with dev(path, "--amqp", own_rabbitmq.url, data=tmp_path / "data") as running:
        assert routed(running, "test.one", "first", namespace) == "1"
        own_rabbitmq.restart()
        wait(
            lambda: running.send_event("test.one", event_id="again", namespace=namespace).status_code == 202, within=40
        )
        running.wait_for(f"[{namespace}/one] got test.one again", within=40)
