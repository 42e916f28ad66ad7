"""What others wrote into messages: it is read, and can be written again."""

import contextlib
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from lambdaagent.broker.rabbitmq.properties import Properties
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.errors import EventError


def short(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def sized(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def in_headers(value: bytes, *, name: bytes = b"name") -> bytes:
    return struct.pack(">H", BasicProperties.FLAG_HEADERS) + sized(short(name) + value)


def nested(depth: int, kind: bytes = b"F") -> bytes:
    found = b""
    for _ in range(depth):
        found = (short(b"k") if kind == b"F" else b"") + kind + sized(found)
    return kind + sized(found)


def read_again(found: Properties) -> Properties:
    return Properties().decode(b"".join(found.encode()))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param(b"T" + struct.pack(">Q", 1_790_000_000), datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC), id="time"),
        pytest.param(b"T" + struct.pack(">Q", 1_790_000_000_000), "1790000000000", id="milliseconds"),
        pytest.param(b"T" + b"\xff" * 8, str(2**64 - 1), id="the latest of times"),
        pytest.param(b"d" + struct.pack(">d", 0.5), "0.5", id="double"),
        pytest.param(b"f" + struct.pack(">f", float("nan")), "nan", id="no number"),
        pytest.param(b"d" + struct.pack(">d", float("inf")), "inf", id="infinite"),
        pytest.param(b"D\x02" + struct.pack(">i", 150), Decimal("1.50"), id="decimal"),
        pytest.param(b"D\xff" + struct.pack(">i", -5), Decimal("-5e-255"), id="small decimal"),
        pytest.param(b"S" + sized(b"\xff"), b"\xff", id="text that is none"),
        pytest.param(b"x" + sized(b"ab"), b"ab", id="bytes"),
        pytest.param(b"t\x01", True, id="true"),
        pytest.param(b"V", None, id="nothing"),
        pytest.param(b"b\xff", -1, id="octet"),
        pytest.param(b"B\xff", 255, id="unsigned octet"),
        pytest.param(b"s\xff\xff", -1, id="short"),
        pytest.param(b"u\xff\xff", 65535, id="unsigned short"),
        pytest.param(b"I\xff\xff\xff\xff", -1, id="long"),
        pytest.param(b"i\xff\xff\xff\xff", 2**32 - 1, id="unsigned long"),
        pytest.param(b"l" + struct.pack(">q", -(2**63)), -(2**63), id="long long"),
        pytest.param(b"A" + sized(b"I\x00\x00\x00\x01S" + sized(b"a")), [1, "a"], id="list"),
        pytest.param(b"F" + sized(short(b"k") + b"V"), {"k": None}, id="table"),
    ],
)
def test_headers_of_every_type_are_read_and_can_be_written_again(written: bytes, read: Any) -> None:
    found = Properties().decode(in_headers(written))
    assert found.headers == {"name": read}
    assert type(found.headers["name"]) is type(read)
    assert read_again(found).headers == found.headers


@pytest.mark.parametrize("kind", [b"F", b"A"])
def test_what_is_deep_is_kept_and_not_followed(kind: bytes) -> None:
    found = Properties().decode(in_headers(nested(5000, kind)))
    again = found.encode()
    assert sum(map(len, again)) == len(in_headers(nested(5000, kind)))


def test_names_and_properties_that_are_no_utf8_become_text_that_still_fits() -> None:
    bad = b"\xff" * 255
    flags = BasicProperties.FLAG_CONTENT_TYPE | BasicProperties.FLAG_HEADERS | BasicProperties.FLAG_MESSAGE_ID
    encoded = struct.pack(">H", flags) + short(bad) + sized(short(bad) + b"V") + short(bad)
    found = read_again(Properties().decode(encoded))
    assert (found.content_type, found.message_id, list(found.headers)) == ("?" * 255, "?" * 255, ["?" * 255])


def test_every_property_is_read_as_pika_writes_it() -> None:
    texts = {name: f"a {name}" for name in ("content_type", "content_encoding", "correlation_id", "reply_to", "type")}
    more = {name: f"a {name}" for name in ("expiration", "message_id", "user_id", "app_id", "cluster_id")}
    sent = BasicProperties(**texts, **more, headers={"a": 1}, delivery_mode=2, priority=9, timestamp=2**64 - 1)
    assert vars(Properties().decode(b"".join(sent.encode()))) == vars(sent)


_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=5),
        st.binary(max_size=5),
        st.integers(0, 253_402_300_799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
        st.decimals(-(10**6), 10**6, places=3),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["x-death", "x-first-death-reason", "id", "source", "specversion", "type", "time", "x-lambdaagent-at"]
    )
    | st.text(max_size=8),
    _VALUES,
    max_size=6,
)


@given(_HEADERS, st.none() | st.text(max_size=8))
def test_no_header_breaks_who_reads_events_and_dead_letters(headers: dict[str, Any], content_type: str | None) -> None:
    found = Properties().decode(b"".join(BasicProperties(headers=headers, content_type=content_type).encode()))
    message = amqp.Message(b"{}", found.headers, found.content_type)
    with contextlib.suppress(EventError):
        amqp.read(message)
    dead_letter_headers.death_by_rabbitmq(message.headers)
    marked = dead_letter_headers.mark(message, dead_letter_headers.cause_of(message))
    BasicProperties(headers=dict(marked.headers)).encode()
