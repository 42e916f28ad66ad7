"""What the package uses of pika undocumented. `tests/unit/broker/test_pika_private.py` fails if it changes."""

from typing import Any

from pika import BasicProperties, exceptions, spec


def read_properties_with(reader: type[BasicProperties]) -> None:
    """Make pika read the properties of messages with `reader`, in the whole process."""
    spec.props[BasicProperties.INDEX] = reader


def close_without_cancelling(channel: Any) -> None:
    """Close a channel as one step. Pika cancels its consumers first, each in a step of its own."""
    channel._cancelled.update(channel._consumers)
    channel.close()


def terminate(connection: Any, why: str) -> None:
    """Close the socket of a connection whose broker does not answer."""
    connection._terminate_stream(exceptions.ConnectionClosedByClient(320, why))
