"""Bindings as values: from an exchange to a queue or to another exchange, and for which events. Pure.

Two processes that declare the same exchange recognize by these values which bindings the other one made. Attributes
have the names of message headers, as in the record on RabbitMQ.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.events import amqp


@dataclass(frozen=True, slots=True)
class Binding:
    """Matches events whose attributes equal all of these; without attributes, it matches every event."""

    attributes: Mapping[str, str]


Bound = tuple[str, tuple[tuple[str, str], ...]]
"""A queue, or an exchange with a prefix, and the sorted header values of one of its bindings."""
Keep = Callable[[Collection[Bound]], Collection[Bound]]
"""Returns which of the bindings that a declaration does not name stay as they are."""
_EXCHANGE = "exchange "


def keep_none(_: Collection[Bound]) -> Collection[Bound]:
    return ()


def bound(queue: str, binding: Binding) -> Bound:
    return queue, tuple(sorted((amqp.header_name(name), value) for name, value in binding.attributes.items()))


def all_bound(queues: Mapping[str, Sequence[Binding]], forwards: Mapping[str, Sequence[Binding]]) -> frozenset[Bound]:
    named = {**queues, **{f"{_EXCHANGE}{name}": bindings for name, bindings in forwards.items()}}
    return frozenset(bound(name, binding) for name, bindings in named.items() for binding in bindings)


@dataclass(frozen=True, slots=True)
class ExchangeDeclaration:
    """An exchange with its bindings. `keep` is called while no other process can change the bindings."""

    exchange: str
    queues: Mapping[str, Sequence[Binding]]
    forwards: Mapping[str, Sequence[Binding]] = field(default_factory=dict)  # to other exchanges
    dead_letters: str | None = None  # a queue for what the broker itself gives up
    keep: Keep = field(default=keep_none, compare=False)

    def bound(self, *, but: Container[str] = ()) -> frozenset[Bound]:
        """Return all bindings, except those of the queues in `but`."""
        return all_bound({name: each for name, each in self.queues.items() if name not in but}, self.forwards)


def exchange_of(name: str) -> str | None:
    """Return the exchange that the name stands for; None: it is the name of a queue."""
    return name.removeprefix(_EXCHANGE) if name.startswith(_EXCHANGE) else None


def queues_of(found: Iterable[Bound]) -> frozenset[str]:
    return frozenset(name for name, _ in found if exchange_of(name) is None)


def read(entry: Any) -> Bound:
    """Read a binding from an entry of the JSON record."""
    name, headers = entry
    return name, tuple((header, value) for header, value in headers)
