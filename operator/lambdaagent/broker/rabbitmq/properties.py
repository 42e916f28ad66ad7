"""Reads the properties and headers of messages from any client into values that pika can write again.

Pika's own reader raises at a time after the year 9999 (a client that confused milliseconds and seconds) and at deeply
nested tables; that closes the connection, which serves every agent, and the message is delivered again. It leaves bytes
where a name is not UTF-8, and drops the fraction of a number. Invariant: whatever RabbitMQ accepted can be read and
written again, and does not grow.
"""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pika import BasicProperties
from pika.exceptions import InvalidFieldTypeException

from lambdaagent.broker.rabbitmq import pika_private

_DEEPEST = 32
"""The depth below which tables and lists stay bytes."""
# As RabbitMQ reads them, which deviates from AMQP's own table of type letters.
_NUMBERS = {
    kind: struct.Struct(f">{form}")
    for kind, form in {"b": "b", "B": "B", "s": "h", "U": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q"}.items()
}
_FRACTIONS = {"f": struct.Struct(">f"), "d": struct.Struct(">d")}
_LENGTH, _TIME, _DECIMAL = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">Bi")
_OCTETS = ("delivery_mode", "priority")
_NAMES = (
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
)
"""The properties in the order of their flags."""


def take_over() -> None:
    """Make pika read properties with `Properties`, in the whole process."""
    pika_private.read_properties_with(Properties)


class Properties(BasicProperties):  # type: ignore[misc]  # pika has no types
    def decode(self, encoded: bytes, offset: int = 0) -> "Properties":
        (flags,) = struct.unpack_from(">H", encoded, offset)
        reader = _Reader(encoded, offset + 2)
        for position, name in enumerate(_NAMES):
            value = reader.property(name) if flags & (1 << (15 - position)) else None
            setattr(self, name, value)
        return self


class _Reader:
    def __init__(self, encoded: bytes, offset: int) -> None:
        self._encoded = encoded
        self._at = offset

    def property(self, name: str) -> Any:
        if name == "headers":
            return self._table(0)
        if name == "timestamp":
            return self._take(_TIME)[0]
        return self._bytes(1)[0] if name in _OCTETS else self._short()

    def _bytes(self, count: int) -> bytes:
        found = bytes(self._encoded[self._at : self._at + count])
        self._at += count
        return found

    def _take(self, form: struct.Struct) -> tuple[Any, ...]:
        found = form.unpack_from(self._encoded, self._at)
        self._at += form.size
        return found

    def _short(self) -> str:
        return _name(self._bytes(self._bytes(1)[0]))

    def _table(self, depth: int) -> dict[str, Any]:
        (size,) = self._take(_LENGTH)
        end, found = self._at + size, {}
        while self._at < end:
            name = self._short()
            found[name] = self._value(depth)
        return found

    def _list(self, depth: int) -> list[Any]:
        (size,) = self._take(_LENGTH)
        end, found = self._at + size, []
        while self._at < end:
            found.append(self._value(depth))
        return found

    def _value(self, depth: int) -> Any:
        kind = self._bytes(1).decode("latin-1")
        if kind in _NUMBERS:
            return self._take(_NUMBERS[kind])[0]
        if kind in _FRACTIONS:
            return str(self._take(_FRACTIONS[kind])[0])  # no attribute can be a fraction, and pika cannot write one
        if kind in "FA" and depth < _DEEPEST:
            return self._table(depth + 1) if kind == "F" else self._list(depth + 1)
        match kind:
            case "S" | "x" | "F" | "A":
                data = self._bytes(self._take(_LENGTH)[0])
                return _text(data) if kind == "S" else data
            case "t":
                return self._bytes(1) != b"\x00"
            case "T":
                return _time(self._take(_TIME)[0])
            case "D":
                decimals, digits = self._take(_DECIMAL)
                return _decimal(decimals, digits)
            case "V":
                return None
        raise InvalidFieldTypeException(kind)  # RabbitMQ accepts no other type


def _name(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        # One byte for each byte: a longer replacement might not fit into a short string.
        return data.decode("ascii", "replace").replace("\ufffd", "?")


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _time(seconds: int) -> datetime | str:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _decimal(decimals: int, digits: int) -> Decimal:
    return Decimal(digits).scaleb(-decimals)
