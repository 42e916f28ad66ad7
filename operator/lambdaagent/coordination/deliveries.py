"""The delivery of a message to each of its receivers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdaagent.coordination.message import Message


@dataclass(frozen=True, slots=True)
class Addressed:
    """A receiver, and how it gets its messages."""

    agent_id: str
    via: str


@dataclass(frozen=True, slots=True)
class Delivery:
    message: Message
    receiver: str
    via: str
    state: str
    attempts: int
    created: float
    expires: float
    created_by: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a message: `again` if it was accepted before, `full` are receivers whose queue is full."""

    message: Message
    again: bool = False
    full: Sequence[str] = ()
    receivers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class State:
    """A message with the state of each of its deliveries."""

    message: Message
    created: float
    created_by: str
    status: str
    deliveries: Sequence[tuple[str, str, str]] = field(default_factory=list)  # receiver, state, error
