"""The arguments of every queue that is declared here, in one place: a declaration that differs is refused for ever.

`x-delivery-limit` is set high on quorum queues for two reasons. Without a limit RabbitMQ returns a message to the end
of the queue and not to its head, which would break the order; and RabbitMQ 4 has a default of 20, after which it drops.
The number of attempts is decided here and not by RabbitMQ.
"""

from typing import Any

from lambdaagent.broker.rabbitmq.channel import Channel

_LIMIT = 1_000_000
QUORUM = "quorum"


async def ensure(channel: Channel, queue: str, *, queue_type: str = QUORUM, **arguments: Any) -> None:
    """Declare a durable queue. Raises TopologyError if it exists with other arguments."""
    await channel.call(
        channel.raw.queue_declare, queue=queue, durable=True, arguments=_plain(queue_type) | _named(arguments)
    )


async def ensure_exclusive(channel: Channel, queue: str, **arguments: Any) -> None:
    """Declare a queue that ends with this connection. Always classic: a virtual host may default to another type."""
    kind = {"x-queue-type": "classic"}
    await channel.call(channel.raw.queue_declare, queue=queue, exclusive=True, arguments=kind | _named(arguments))


async def ensure_agent(channel: Channel, queue: str, *, queue_type: str, dead_letters: str | None) -> None:
    """Declare a queue with one active consumer: parallelism and order hold across processes (decision 0015)."""
    letters = {"dead_letter_exchange": dead_letters} if dead_letters is not None else {}
    await ensure(channel, queue, queue_type=queue_type, single_active_consumer=True, **letters, **safely(queue_type))


async def ensure_dead_letters(channel: Channel, name: str, *, queue_type: str) -> None:
    """Declare an exchange and a queue of the same name, so that other readers can bind queues of their own."""
    await channel.call(channel.raw.exchange_declare, exchange=name, exchange_type="headers", durable=True)
    await ensure(channel, name, queue_type=queue_type)
    await bind(channel, queue=name, exchange=name)


async def bind(channel: Channel, *, queue: str, exchange: str, routing_key: str = "") -> None:
    """Bind to a headers exchange for everything, or to a direct exchange by key."""
    arguments = {} if routing_key else {"x-match": "all"}
    await channel.call(
        channel.raw.queue_bind, queue=queue, exchange=exchange, routing_key=routing_key, arguments=arguments
    )


def safely(queue_type: str = QUORUM) -> dict[str, Any]:
    """Return arguments for dead-lettering with confirms: RabbitMQ has it for quorum queues that refuse when full."""
    return {"dead_letter_strategy": "at-least-once", "overflow": "reject-publish"} if queue_type == QUORUM else {}


def _plain(queue_type: str) -> dict[str, Any]:
    limit = {"x-delivery-limit": _LIMIT} if queue_type == QUORUM else {}
    return {"x-queue-type": queue_type} | limit


def _named(arguments: dict[str, Any]) -> dict[str, Any]:
    return {f"x-{name.replace('_', '-')}": value for name, value in arguments.items()}
