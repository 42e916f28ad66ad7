"""Dead letters in one form for the command line, from RabbitMQ's queues and from the gateways' database."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lambdaagent.clock import rfc3339
from lambdaagent.events.event_urls import hide


@dataclass(frozen=True, slots=True)
class Found:
    id: str  # the first letter is its place: q for a queue, s for the store
    namespace: str
    agent: str  # "namespace/name"; empty if not known
    reason: str
    at: float  # when it was dead-lettered; 0 if not known
    attributes: Mapping[str, Any]  # of the event, or the headers in their place if it is no event
    code: int = -1
    destination: str = ""
    attempts: int = 0
    data: bytes = field(default=b"", repr=False)
    unreadable: str = ""  # why the store cannot decrypt the destination and the data, which are empty then

    @property
    def type(self) -> str:
        return str(self.attributes.get("type") or "")


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Selects letters; an empty field or None matches any."""

    namespace: str = ""
    agent: str = ""  # a name, or "namespace/name"
    type: str = ""
    died_from: float | None = None
    died_before: float | None = None
    ids: frozenset[str] = frozenset()

    def __contains__(self, letter: Found) -> bool:
        return (
            (not self.ids or letter.id in self.ids)
            and self.namespace in ("", letter.namespace)
            and self.agent in ("", letter.agent, letter.agent.partition("/")[2])
            and self.type in ("", letter.type)
            and (self.died_from is None or letter.at >= self.died_from)
            and (self.died_before is None or letter.at < self.died_before)
        )


Redrive = Callable[[], Awaitable[str]]
"""Delivers the letter to its agent again; returns the reason if that failed, else an empty string."""
Visit = Callable[[Found, Redrive], Awaitable[bool]]
"""Returns whether the letter is done and is to be removed."""


class Source(Protocol):
    async def newest(self, wanted: LetterFilter, *, limit: int | None) -> list[Found]:
        """Return the newest letters, without their data."""
        ...

    async def walk(self, wanted: LetterFilter, visit: Visit) -> None:
        """Visit the letters, oldest first."""
        ...


def shown(letter: Found) -> dict[str, Any]:
    """Return the letter for output, without credentials."""
    return {
        "id": letter.id,
        "namespace": letter.namespace,
        "agent": letter.agent,
        "type": letter.type,
        "source": str(letter.attributes.get("source") or ""),
        "eventId": str(letter.attributes.get("id") or ""),
        "reason": hide(letter.reason),
        "code": letter.code,
        "destination": hide(letter.destination),
        "attempts": letter.attempts,
        "at": moment(letter.at),
        **({"unreadable": letter.unreadable} if letter.unreadable else {}),
    }


def moment(at: float) -> str:
    return rfc3339(at) if at else ""
