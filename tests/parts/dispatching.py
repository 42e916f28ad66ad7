"""Events for the tests of the dispatcher, and how they get to RabbitMQ."""

from typing import Any

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.events.cloudevents import Event


def event(id_: str = "1", type_: str = "io.test.wanted", **options: Any) -> Event:
    return Event(id=id_, source="/tests", type=type_, data=b"{}", datacontenttype="application/json", **options)


async def routed(broker: RabbitMQBroker, namespace: str, sent: Event) -> bool:
    """Publishes an event on the shared exchange of the namespace; returns whether a queue took it."""
    return await broker.publish(sent, exchange=naming.exchange(namespace))
