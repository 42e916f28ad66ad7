"""Messages that are no good, agents that are no good, and a RabbitMQ that refuses: nothing is lost, and it is said."""

import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pika import BasicProperties
from tests.parts.agents import Agents, Container, Got, subscribed
from tests.parts.broker import Inbox
from tests.parts.dispatching import event, routed
from tests.parts.http_servers import Response
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.cloudevents import Event

GOOD = {"specversion": "1.0", "id": "good", "type": "io.test.wanted", "source": "/s"}


@pytest.fixture
async def link(own_rabbitmq: RabbitMQ) -> AsyncIterator[RabbitMQConnection]:
    found = RabbitMQConnection(url=own_rabbitmq.url, name="test")
    found.start()
    yield found
    await found.stop()


async def letter(link: RabbitMQConnection, namespace: str) -> tuple[amqp.Message, dead_letter_headers.DeathCause]:
    """Takes the only dead letter."""
    channel = await link.channel()
    got: list[amqp.Message] = []

    def on_message(_: Any, _method: Any, properties: Any, body: bytes) -> None:
        got.append(amqp.Message(body, properties.headers or {}, properties.content_type, properties.message_id))

    await channel.call(
        channel.raw.basic_consume,
        queue=naming.dead_letters(namespace),
        on_message_callback=on_message,
        auto_ack=True,
    )
    await eventually(lambda: got)
    await channel.close()
    return got[0], dead_letter_headers.cause_of(got[0])


@pytest.mark.parametrize(
    ("message", "says"),
    [
        pytest.param(amqp.Message(b"\xff\x00", {"shape": "odd"}), "not a CloudEvent", id="no event"),
        pytest.param(amqp.Message(b"x", GOOD | {"specversion": "9.9"}), "specversion", id="unknown specversion"),
        pytest.param(amqp.Message(b"x", GOOD | {"time": "yesterday"}), "time", id="clock nonsense"),
        pytest.param(amqp.Message(b"x", {k: v for k, v in GOOD.items() if k != "id"}), "'id'", id="no id"),
        pytest.param(amqp.Message(b"{", {}, "application/cloudevents+json"), "JSON", id="structured, and not JSON"),
    ],
)
async def test_a_message_that_nobody_could_be_given_is_kept_as_it_is(
    dispatcher: Running,
    agents: Agents,
    container: Container,
    link: RabbitMQConnection,
    message: amqp.Message,
    says: str,
) -> None:
    agents.make("reads", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("reads")
    channel = await ConfirmChannel.open(link)
    queue = naming.queue(agents.namespace, "reads")
    assert await channel.publish(message, exchange="", routing_key=queue)
    assert await channel.publish(amqp.Message(b"ok", GOOD), exchange="", routing_key=queue)
    await eventually(lambda: container.ids == ["good"])
    kept, cause = await letter(link, agents.namespace)
    assert (kept.body, dead_letter_headers.bare(kept).headers, kept.content_type) == (
        message.body,
        message.headers,
        message.content_type,
    )
    assert says in cause.reason
    assert cause.agent == f"{agents.namespace}/reads"


class AsWritten(BasicProperties):  # type: ignore[misc]
    """Properties with headers that other clients write and pika does not."""

    def __init__(self, id_: str, *odd: bytes, content_type: bytes = b"text/plain") -> None:
        super().__init__()
        headers = b"".join(_header(name, value) for name, value in (GOOD | {"id": id_}).items()) + b"".join(odd)
        flags = self.FLAG_CONTENT_TYPE | self.FLAG_HEADERS
        self._encoded = struct.pack(">HB", flags, len(content_type)) + content_type + _sized(headers)

    def encode(self) -> list[bytes]:
        return [self._encoded]


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"S" + _sized(value.encode())


def _deep(depth: int) -> bytes:
    found = b"V"
    for _ in range(depth):
        found = b"A" + _sized(found)
    return found


async def test_headers_that_the_client_library_cannot_read_stop_nobody(
    dispatcher: Running, agents: Agents, container: Container, link: RabbitMQConnection
) -> None:
    agents.make("reads", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("reads")
    milliseconds = b"\x04sentT" + struct.pack(">Q", 1_790_000_000_000)
    odd = [
        AsWritten("milliseconds", milliseconds),
        AsWritten("name", b"\x07x-na\xffmeV"),
        AsWritten("content type", content_type=b"text/\xff"),
        AsWritten("deep", b"\x06x-deep" + _deep(5000)),
        AsWritten("death", b"\x07x-deathA" + _sized(b"F" + _sized(b"\x04timeT" + b"\xff" * 8))),
    ]
    confirmed = await ConfirmChannel.open(link)
    queue = naming.queue(agents.namespace, "reads")
    for properties in odd:
        confirmed.channel.raw.basic_publish("", queue, b"odd", properties)
    await eventually(lambda: len(container.got) == len(odd))
    assert container.ids == ["milliseconds", "name", "content%20type", "deep", "death"]
    assert container.got[0].headers["ce-sent"] == "1790000000000"


async def test_bytes_and_sixty_extensions_arrive_as_they_were_sent(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    agents.make("takes", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("takes")
    extensions = {f"ext{number}": f"wert \u00e4 {number}" for number in range(60)}
    sent = Event("1", "/s", "io.test.wanted", bytes(range(256)) * 4096, "image/png", extensions=extensions)
    await routed(broker, agents.namespace, sent)
    await eventually(lambda: container.got)
    got = container.got[0]
    assert (got.body, got.headers["content-type"]) == (sent.data, "image/png")
    assert got.headers["ce-ext59"] == "wert%20%C3%A4%2059"


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        pytest.param((302, {"location": "http://127.0.0.1:1/"}, b""), "dead-lettered", 302, id="a redirect"),
        pytest.param((400, {}, b"no"), "dead-lettered", 400, id="a refusal"),
        pytest.param((200, {"ce-specversion": "1.0", "ce-id": "r"}, b"x"), "bad-reply", None, id="a broken reply"),
        pytest.param((503, {"retry-after": "nonsense"}, b""), "retried", 503, id="a nonsensical Retry-After"),
    ],
)
async def test_what_an_agent_answers_is_judged_and_counted(
    dispatcher: Running,
    agents: Agents,
    container: Container,
    broker: RabbitMQBroker,
    link: RabbitMQConnection,
    answer: Response,
    verdict: str,
    code: int | None,
) -> None:
    container.answer = lambda _: answer
    agents.make("odd", url=container.url, subscriptions=subscribed("io.test.wanted"), delivery={"retry": 1})
    await agents.eventing_ready("odd")
    await routed(broker, agents.namespace, event("1"))
    await eventually(lambda: dispatcher.metric(f'lambdaagent_dispatcher_deliveries_total{{outcome="{verdict}"}}') == 1)
    if code is not None:
        _, cause = await letter(link, agents.namespace)
        assert cause.code == code


async def test_an_agent_that_hangs_or_closes_early_is_asked_again(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker
) -> None:
    def answer(got: Got) -> Response:
        attempt = int(got.headers["ce-attempt"])
        if attempt == 1:
            time.sleep(1.5)
        return (202, {"content-length": "10"} if attempt == 2 else {}, b"")

    container.answer = answer
    agents.make(
        "hangs", url=container.url, subscriptions=subscribed("io.test.wanted"), delivery={"timeout": "PT1S", "retry": 5}
    )
    await agents.eventing_ready("hangs")
    await routed(broker, agents.namespace, event("1"))
    await eventually(lambda: dispatcher.metric('lambdaagent_dispatcher_deliveries_total{outcome="delivered"}') == 1)
    assert [got.headers["ce-attempt"] for got in container.got] == ["1", "2", "3"]


async def test_a_queue_that_contradicts_ours_is_said_and_hurts_nobody_else(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker, link: RabbitMQConnection
) -> None:
    queue = naming.queue(agents.namespace, "late")
    channel = await link.channel()
    await channel.call(channel.raw.queue_declare, queue=queue, durable=True, arguments={"x-max-length": 7})
    agents.make("first", url=container.url, subscriptions=subscribed("io.test.wanted"))
    agents.make("late", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("first")
    await agents.eventing_ready("late", "False")
    condition = agents.condition("late")
    assert condition["reason"] == "RefusedByRabbitMQ"
    assert queue in condition["message"]
    assert "Remove what contradicts it" in condition["message"]
    await routed(broker, agents.namespace, event("1"))
    await eventually(lambda: container.ids == ["1"])
    assert dispatcher.metric("lambdaagent_dispatcher_errors_total") == 0, "said, and not tried in a loop"
    await channel.call(channel.raw.queue_delete, queue=queue)
    await channel.close()


async def test_the_inbox_of_the_dead_is_an_exchange_that_anybody_may_listen_to(
    dispatcher: Running, agents: Agents, container: Container, broker: RabbitMQBroker, link: RabbitMQConnection
) -> None:
    container.answer = lambda _: (400, {}, b"")
    agents.make("refuses", url=container.url, subscriptions=subscribed("io.test.wanted"))
    await agents.eventing_ready("refuses")
    listening, name = await link.channel(), naming.dead_letters(agents.namespace)
    mine = (await listening.call(listening.raw.queue_declare, queue="", exclusive=True)).method.queue
    await listening.call(
        listening.raw.queue_bind, queue=mine, exchange=name, routing_key="", arguments={"x-match": "all"}
    )
    inbox = Inbox()
    await routed(broker, agents.namespace, event("1"))
    async with broker.consume(name, parallelism=1, handler=inbox, dead_letters=f"{name}.again"):
        await eventually(lambda: inbox.ids == ["1"])
    frame = await listening.call(listening.raw.queue_declare, queue=mine, passive=True)
    assert frame.method.message_count == 1
    await listening.close()
