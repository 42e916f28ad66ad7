"""CloudEvents over AMQP, as Knative's RabbitMQ broker writes them, and tolerable variants."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambdaagent.events import amqp
from lambdaagent.events.amqp import Message
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.errors import EventError, MissingAttributeError

# A message as a real broker stored it.
KNATIVE = Message(
    body=b'{"parcel": 77}',
    headers={
        "specversion": "1.0",
        "id": "77",
        "type": "parcel.created",
        "source": "/shop",
        "subject": "s",
        "time": "0001-01-01T00:00:00Z",
        "content-type": "application/json",
        "a2ataskid": "t-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "",
    },
    content_type="application/json",
    message_id="77",
)
EVENT = Event(
    id="77",
    source="/shop",
    type="parcel.created",
    data=b'{"parcel": 77}',
    datacontenttype="application/json",
    subject="s",
    extensions={"a2ataskid": "t-1", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
)
MINIMAL = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def test_a_message_of_knative_is_read() -> None:
    assert amqp.read(KNATIVE) == EVENT


def test_what_is_written_is_what_knative_writes() -> None:
    written = amqp.write(EVENT)
    assert written.headers == KNATIVE.headers
    assert (written.body, written.content_type, written.message_id) == (KNATIVE.body, "application/json", "77")


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Event(id="1", source="/s", type="t"), id="the least"),
        pytest.param(EVENT, id="rich"),
        pytest.param(Event("1", "/s", "t", data=b"\x00\xff", datacontenttype="image/png"), id="bytes"),
        pytest.param(Event("1", "/s", "t", time="2026-01-31T12:00:00.123+01:00", dataschema="http://x/y"), id="times"),
        pytest.param(Event("1", "/s", "t", extensions={"n": 7, "b": True, "s": "ü€"}), id="typed extensions"),
        pytest.param(Event("x" * 300, "/s", "t", datacontenttype="text/" + "x" * 300), id="longer than short strings"),
    ],
)
def test_an_event_survives_the_wire(event: Event) -> None:
    assert amqp.read(amqp.write(event)) == event


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            Message(b"", {f"ce-{name}": value for name, value in MINIMAL.items()}),
            {},
            id="prefixes of the specification",
        ),
        pytest.param(
            Message(b"", {f"cloudEvents:{name}": value for name, value in MINIMAL.items()}),
            {},
            id="prefixes of AMQP 1.0",
        ),
        pytest.param(Message(b"", {name.upper(): value for name, value in MINIMAL.items()}), {}, id="upper case"),
        pytest.param(Message(b"", MINIMAL | {"ce-type": "other"}), {}, id="the bare name counts"),
        pytest.param(Message(b"", MINIMAL | {"x-death": [{"count": 1}], "x-delivery-count": 2}), {}, id="x headers"),
        pytest.param(Message(b"", MINIMAL | {"spring_json": "{}", "B3-trace": "1"}), {}, id="headers of libraries"),
        pytest.param(
            Message(b"", MINIMAL, "text/plain"), {"datacontenttype": "text/plain"}, id="content type property"
        ),
        pytest.param(
            Message(b"", MINIMAL | {"content-type": "a/b"}, "c/d"), {"datacontenttype": "a/b"}, id="content type header"
        ),
        pytest.param(Message(b"", MINIMAL | {"id": b"1", "absent": None}), {}, id="bytes and void"),
        pytest.param(
            Message(b"", MINIMAL | {"time": datetime(2026, 1, 31, 12, tzinfo=UTC)}),
            {"time": "2026-01-31T12:00:00Z"},
            id="an AMQP timestamp",
        ),
        pytest.param(Message(b"", MINIMAL | {"big": 2**40}), {"extensions": {"big": str(2**40)}}, id="a long integer"),
        pytest.param(
            Message(b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}', {}, "application/cloudevents+json"),
            {},
            id="structured mode",
        ),
    ],
)
def test_reading_is_tolerant(message: Message, expected: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"id": "1", "source": "/s", "type": "t"} | expected
    assert amqp.read(message) == Event(**fields)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Message(b"hello"), id="no headers at all"),
        pytest.param(Message(b"", {name: value for name, value in MINIMAL.items() if name != "id"}), id="no id"),
        pytest.param(Message(b"", MINIMAL | {"source": ""}), id="empty source"),
        pytest.param(Message(b"", MINIMAL | {"specversion": "0.3"}), id="another version"),
        pytest.param(Message(b"", MINIMAL | {"nested": {"a": 1}}), id="a table"),
        pytest.param(Message(b"", MINIMAL | {"type": b"\xff"}), id="not UTF-8"),
        pytest.param(Message(b"{", {}, "application/cloudevents+json"), id="broken JSON"),
        pytest.param(Message(b"[]", {}, "application/cloudevents-batch+json"), id="an empty batch"),
    ],
)
def test_what_cannot_be_read_is_a_typed_error(message: Message) -> None:
    with pytest.raises(EventError):
        amqp.read(message)


def test_a_missing_source_is_named_and_not_made_up() -> None:
    with pytest.raises(MissingAttributeError, match="'source'"):
        amqp.read(Message(b"", {name: value for name, value in MINIMAL.items() if name != "source"}))


def test_a_binding_names_the_header_of_its_attribute() -> None:
    assert (amqp.header_name("datacontenttype"), amqp.header_name("type")) == ("content-type", "type")
