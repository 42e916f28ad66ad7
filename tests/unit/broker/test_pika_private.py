import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties, ConnectionParameters, frame, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.callback import CallbackManager
from pika.channel import Channel

from lambdaagent.broker.rabbitmq import pika_private
from lambdaagent.broker.rabbitmq.properties import Properties


class Sent(SimpleNamespace):
    """A connection that keeps the methods that a channel sends."""

    def __init__(self) -> None:
        super().__init__(callbacks=CallbackManager(), methods=[])

    def _send_method(self, _channel: int, method: Any, *_: Any, **__: Any) -> None:
        self.methods.append(method.NAME)


def test_a_channel_is_closed_without_cancelling_its_consumers_first() -> None:
    connection = Sent()
    channel = Channel(connection, 1, lambda _: None)
    channel._set_state(Channel.OPEN)
    channel.basic_consume("queue", lambda *_: None, consumer_tag="tag")
    confirmed = spec.Basic.ConsumeOk(consumer_tag="tag")
    connection.callbacks.process(1, spec.Basic.ConsumeOk, channel, frame.Method(1, confirmed))
    pika_private.close_without_cancelling(channel)
    assert connection.methods == ["Basic.Consume", "Channel.Close"]


def test_pika_reads_properties_with_the_class_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(spec.props, BasicProperties.INDEX, BasicProperties)
    pika_private.read_properties_with(Properties)
    sent = frame.Header(1, 0, BasicProperties(message_id="m")).marshal()
    _, read = frame.decode_frame(sent)
    assert type(read.properties) is Properties
    assert read.properties.message_id == "m"


async def test_a_connection_is_terminated_though_nothing_answers() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    connection = AsyncioConnection(
        ConnectionParameters("127.0.0.1", silent.getsockname()[1]),
        on_open_error_callback=lambda _, reason: ended.set_result(reason),
    )
    async with asyncio.timeout(5):
        while connection._transport is None:
            await asyncio.sleep(0.01)
        pika_private.terminate(connection, "no answer")
        reason = await ended
    silent.close()
    assert "no answer" in repr(reason)
