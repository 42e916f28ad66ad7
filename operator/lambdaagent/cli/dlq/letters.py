"""Dead letters as the command line sees them, wherever they lie: in RabbitMQ's queues, in the gateways' database."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from lambdaagent.events.event_urls import hide


@dataclass(frozen=True, slots=True)
class Found:
    id: str  # its first letter says where it lies: q in a queue, s in the store
    namespace: str
    agent: str  # "namespace/name"; empty where nobody knows
    reason: str
    at: float  # of its death; 0 where nobody knows
    attributes: Mapping[str, Any]  # of the event, or whatever stood where they should
    code: int = -1
    destination: str = ""
    attempts: int = 0
    data: bytes = field(default=b"", repr=False)

    @property
    def type(self) -> str:
        return str(self.attributes.get("type") or "")


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; empty and None: any."""

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
"""Brings the letter to its agent again; says why it could not, else nothing."""
Visit = Callable[[Found, Redrive], Awaitable[bool]]
"""Whether the letter is done with and goes."""


class Source(Protocol):
    async def newest(self, wanted: LetterFilter, *, limit: int | None) -> list[Found]:
        """Without their data."""
        ...

    async def walk(self, wanted: LetterFilter, visit: Visit) -> None:
        """Oldest first."""
        ...


def shown(letter: Found) -> dict[str, Any]:
    """For output: without what is a credential."""
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
    }


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
