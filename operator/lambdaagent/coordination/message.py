"""Messages between agents: read in the form of requirement 003 or of 001, and written in the form they came in.

Both forms become one `Message`. In 003 a query is a request, and a context is a notification; priorities by name are
numbers, 1 to 10.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Any, Literal

import orjson
from pydantic import ConfigDict, Field, field_validator

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination.bodies import BadBodyError, Body, Id, read, size_of

TOPIC, EVERYBODY = "topic:", "*"
HOPS = 8
"""A message that was caused by so many others in a row goes no further: agents may answer one another for ever."""
USUAL, TTL = 5, 3600
_LONGEST_ID = 255
LARGEST = 256 * 1024
"""Bytes of a message."""
_PRIORITIES: Mapping[str, int] = MappingProxyType({"low": 3, "normal": USUAL, "high": 8, "urgent": 10})
_KINDS: Mapping[str, str] = MappingProxyType(
    {"query": "request", "capability": "request", "response": "response", "context": "notification"}
)
_CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {"request": "query", "response": "response", "notification": "context", "error": "response"}
)
Kind = Literal["request", "response", "notification", "error"]
Confirmation = Literal["none", "delivered", "acknowledged"]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
MessageId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_][!-~]*$")]
Topic = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^(?:[A-Za-z0-9_-]+\.)*(?:[A-Za-z0-9_-]+|\*)$")]
Receiver = Annotated[
    str, Field(min_length=1, max_length=270, pattern=r"^(?:\*|topic:[A-Za-z0-9_.-]+|[A-Za-z0-9_][!-~]*)$")
]
To = Receiver | Annotated[list[Id], Field(min_length=1, max_length=1000)]
Seconds = Annotated[int, Field(ge=1, le=7 * 86_400)]


class _Metadata(Body):
    model_config = ConfigDict(extra="allow")

    priority: int | str = USUAL
    ttl: Seconds = TTL
    confirmation: Confirmation = "none"
    skill_id: Annotated[str, Field(max_length=255)] = ""
    correlation_id: Annotated[str, Field(max_length=255)] = ""
    causation_id: Annotated[str, Field(max_length=255)] = ""
    hops: Annotated[int, Field(ge=0, le=1000)] = 0

    @field_validator("priority")
    @classmethod
    def _number(cls, given: int | str) -> int:
        if isinstance(given, str) and given in _PRIORITIES:
            return _PRIORITIES[given]
        if not isinstance(given, int) or not 1 <= given <= 10:
            raise ValueError(f"must be a number from 1 to 10, or one of {', '.join(_PRIORITIES)}")
        return given


class _Content(Body):
    type: Literal["query", "response", "context", "capability"]
    data: Json = {}


class _Envelope(Body):
    """The form of requirement 003."""

    version: Literal["1.0"] = "1.0"
    type: Literal["agent_message"] = "agent_message"
    from_: Annotated[Name, Field(alias="from")]
    to: To
    message_id: MessageId | None = None
    conversation_id: Name | None = None
    session_id: Name | None = None
    sequence_id: Annotated[int, Field(ge=0, lt=2**53)] = 0
    timestamp: Annotated[str, Field(max_length=64)] = ""  # the gateway's own time counts
    content: _Content
    metadata: _Metadata = _Metadata()


class _Row(Body):
    """The form of requirement 001: the columns of its table."""

    message_id: MessageId | None = None
    session_id: Name | None = None
    sender_agent_id: Name
    receiver_agent_id: To | None = None
    agent_id: To | None = None
    message_type: Kind
    protocol_version: Literal["2.0"] = "2.0"
    content: Json
    metadata: _Metadata = _Metadata()
    priority: int | str | None = None

    @property
    def to(self) -> str | list[str]:
        given = self.receiver_agent_id if self.receiver_agent_id is not None else self.agent_id
        if given is None:
            raise BadBodyError("receiver_agent_id: is missing")
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    id: str  # empty: the sender left it to the gateway
    sender: str
    to: tuple[str, ...]  # ids of agents, or one of `topic:...` and `*`
    kind: str
    content: Json
    session: str = ""
    form: str = "003"
    priority: int = USUAL
    ttl: float = TTL  # seconds
    confirmation: str = "none"
    skill: str = ""
    correlation: str = ""  # the message that this one answers
    causation: str = ""  # the message that caused this one
    hops: int = 0
    sequence: int = 0
    metadata: Json | None = None

    @property
    def digest(self) -> str:
        """Tells whether two messages with the same id are the same message."""
        known = [self.sender, self.to, self.kind, self.content, self.session, self.priority, self.ttl, self.skill]
        return sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of its content and metadata."""
        return size_of([self.content, self.metadata])

    @property
    def topic(self) -> str | None:
        return self.to[0].removeprefix(TOPIC) if self.to[0].startswith(TOPIC) else None

    @property
    def to_everybody(self) -> bool:
        return self.to == (EVERYBODY,)


def of_body(body: Any) -> Message:
    """Raises BadBodyError."""
    found: Message | None = None
    if isinstance(body, dict) and "message_type" in body:
        found = _of_row(read(_Row, body))
    elif isinstance(body, dict) and "to" in body:
        found = _of_envelope(read(_Envelope, body))
    if found is not None:
        if (size := found.size) > LARGEST:
            raise BadBodyError(f"content: has {size} bytes of at most {LARGEST}; send a reference to large data")
        return found
    raise BadBodyError(
        "it is no message: send {from, to, content: {type, data}}, or "
        "{sender_agent_id, receiver_agent_id, message_type, content}"
    )


def derived_id(what: str, *of: str) -> str:
    """Return the id of a message that the gateway makes itself. It begins as no sender's own does: nobody takes it."""
    plain = f"~{what}:{':'.join(of)}"
    return plain if len(plain) <= _LONGEST_ID else f"~{what}:{sha256(plain.encode()).hexdigest()}"


def named(message: Message, id_: str) -> Message:
    """Return the message with an id of its sender. Raises BadBodyError."""
    return replace(message, id=read(_Named, {"message_id": id_}).message_id)


def _of_envelope(body: _Envelope) -> Message:
    return Message(
        kind=_KINDS[body.content.type],
        content={"type": body.content.type, "data": body.content.data},
        form="003",
        sequence=body.sequence_id,
        **_shared(body.message_id, body.from_, body.to, body.conversation_id or body.session_id, body.metadata),
    )


def _of_row(body: _Row) -> Message:
    metadata = body.metadata
    if body.priority is not None:
        metadata = _Metadata.model_validate(metadata.model_dump() | {"priority": body.priority})
    return Message(
        kind=body.message_type,
        content=body.content,
        form="001",
        **_shared(body.message_id, body.sender_agent_id, body.to, body.session_id, metadata),
    )


def _shared(
    message_id: str | None, sender: str, to: str | list[str], session: str | None, metadata: _Metadata
) -> dict[str, Any]:
    receivers = (to,) if isinstance(to, str) else tuple(dict.fromkeys(to))
    if receivers[0].startswith(TOPIC):
        read(_Topic, {"topic": receivers[0].removeprefix(TOPIC)})
    return {
        "id": message_id or "",
        "sender": sender,
        "to": receivers,
        "session": session or "",
        "priority": metadata.priority,
        "ttl": metadata.ttl,
        "confirmation": metadata.confirmation,
        "skill": metadata.skill_id,
        "correlation": metadata.correlation_id,
        "causation": metadata.causation_id,
        "hops": metadata.hops,
        "metadata": metadata.model_extra or {},
    }


class _Named(Body):
    message_id: MessageId


class _Topic(Body):
    topic: Topic


class Subscription(Body):
    agent_id: Name
    topic: Pattern


def matches(pattern: str, topic: str) -> bool:
    """A pattern is a topic, `prefix.*` for all topics below a prefix, or `*` for all."""
    return pattern == topic or pattern == "*" or (pattern.endswith(".*") and topic.startswith(pattern[:-1]))


def as_body(message: Message, *, at: float, receiver: str = "") -> Json:
    """Return the message as its receivers read it, in the form in which it was sent."""
    to: Any = receiver or (message.to[0] if len(message.to) == 1 else list(message.to))
    metadata = (message.metadata or {}) | {"priority": message.priority, "ttl": int(message.ttl), "hops": message.hops}
    known = {
        "confirmation": message.confirmation if message.confirmation != "none" else "",
        "skill_id": message.skill,
        "correlation_id": message.correlation,
        "causation_id": message.causation,
        "topic": message.topic or "",
    }
    metadata |= {name: value for name, value in known.items() if value}
    if message.form == "001":
        return {
            "message_id": message.id,
            "session_id": message.session,
            "sender_agent_id": message.sender,
            "receiver_agent_id": to,
            "message_type": message.kind,
            "protocol_version": "2.0",
            "content": message.content,
            "metadata": metadata,
            "created_at": rfc3339(at, digits="milliseconds"),
        }
    content = message.content
    if not (content.keys() == {"type", "data"} and content.get("type") in _KINDS):
        content = {"type": _CONTENT_TYPES[message.kind], "data": content}
    return {
        "version": "1.0",
        "type": "agent_message",
        "message_id": message.id,
        "from": message.sender,
        "to": to,
        "conversation_id": message.session,
        "sequence_id": message.sequence,
        "timestamp": rfc3339(at, digits="milliseconds"),
        "content": content,
        "metadata": metadata,
    }
