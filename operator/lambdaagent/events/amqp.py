"""CloudEvents in AMQP 0-9-1 messages, as Knative's RabbitMQ broker writes and reads them.

Attributes are message headers under their bare names, because a headers exchange compares them with a Trigger's filter:
with the prefix `ce-`, which the broker's own specification requires, nothing would match. Values keep their AMQP type,
so a number does not match a string filter. Reading is tolerant (prefixes, structured mode, any case), but nothing is
filled in: a message without an id or source is an error, and the consumer must keep the message elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from lambdaagent.clock import rfc3339
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event, from_attributes
from lambdaagent.events.errors import InvalidAttributeError, MalformedEventError, NotAnEventError

Header = str | int | bool

PERSISTENT = 2
CONTENT_TYPE = "content-type"
NO_TIME = "0001-01-01T00:00:00Z"
"""The time that Knative writes for an event without one."""

_SHORT_STRING = 255  # bytes
_PREFIXES = ("ce-", "cloudevents:", "cloudevents_")
_INT = range(-(2**31), 2**31)


@dataclass(frozen=True, slots=True)
class Message:
    """The parts of an AMQP message that carry an event; `message_id` and `content_type` are AMQP properties."""

    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    message_id: str | None = None


def header_name(attribute: str) -> str:
    """Return the header that carries an attribute, which a binding must name."""
    return CONTENT_TYPE if attribute == "datacontenttype" else attribute


def write(event: Event) -> Message:
    headers: dict[str, Header] = {}
    for name, value in event.attributes().items():
        if len(name) > _SHORT_STRING:
            raise InvalidAttributeError(name[:64], "has a name too long for an AMQP header")
        headers[header_name(name)] = value
    headers.setdefault(CONTENT_TYPE, "")
    headers.setdefault("time", NO_TIME)
    if "traceparent" in headers:
        # Knative's dispatcher resumes a trace only if both are present; `tracestate` may be empty.
        headers.setdefault("tracestate", "")
    return Message(
        body=event.data,
        headers=headers,
        # These two properties are short strings. A longer value is in the headers anyway.
        content_type=_short(event.datacontenttype),
        message_id=_short(event.id),
    )


def read(message: Message) -> Event:
    """Return the event of a message. Raises EventError if the message is not a valid CloudEvent."""
    content_type = message.content_type or ""
    if http.mode({CONTENT_TYPE: content_type}) is not None:
        events = http.read({CONTENT_TYPE: content_type}, message.body)
        if len(events) != 1:
            raise MalformedEventError(f"a batch of {len(events)} events in one message; send them one by one")
        return events[0]
    attributes = _attributes(message.headers)
    if not attributes.keys() & {"specversion", "id", "source", "type"}:
        raise NotAnEventError("not a CloudEvent: the message has none of the headers specversion, id, source, type")
    declared = attributes.pop(CONTENT_TYPE, None)
    if not attributes.get("datacontenttype"):
        attributes["datacontenttype"] = declared or content_type or None
    if attributes.get("time") == NO_TIME:
        del attributes["time"]
    if attributes.get("tracestate") == "":
        del attributes["tracestate"]
    return from_attributes(attributes, data=message.body)


def _attributes(headers: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    prefixed: dict[str, Any] = {}
    for key, value in headers.items():
        name, target = key.lower(), found
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, target = name[len(prefix) :], prefixed
                break
        # Other headers, such as x-death and those of client libraries, are not attributes.
        if value is not None and (name == CONTENT_TYPE or (name.isascii() and name.isalnum())):
            target[name] = _value(name, value)
    return prefixed | found


def _value(name: str, value: Any) -> Header:
    match value:
        case bool() | str():
            return value
        case int():
            return value if value in _INT else str(value)
        case bytes() | bytearray():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise InvalidAttributeError(name[:64], "is not UTF-8") from None
        case datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return rfc3339(moment)
        case float() | Decimal():
            return str(value)
    raise InvalidAttributeError(name[:64], f"is a {type(value).__name__}, which is not a type of attributes")


def _short(text: str | None) -> str | None:
    return text if text is not None and len(text.encode()) <= _SHORT_STRING else None
