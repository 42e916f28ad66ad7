"""Filters the events that reach an agent's queue. Pure.

A headers exchange compares whole values only. So the queue of an agent that subscribes to a pattern, or excludes its
own events, receives every event, and what the agent did not subscribe to is dropped by the consumer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lambdaagent.events.cloudevents import Event

MARKS = "*?"


def is_pattern(text: str | None) -> bool:
    return bool(text) and any(mark in (text or "") for mark in MARKS)


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern: `*` matches any characters, none and dots included; `?` matches one."""
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.compile("".join(parts), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Interest:
    """What an agent subscribes to. `exact`: type -> sources, None for any. `own`: the source that is excluded."""

    exact: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    patterns: Sequence[tuple[re.Pattern[str], re.Pattern[str] | None]] = ()
    own: str | None = None

    @property
    def filtered(self) -> bool:
        """Whether the queue receives more events than the agent subscribes to."""
        return bool(self.patterns) or self.own is not None

    def wants(self, event: Event) -> bool:
        if self.own is not None and event.source == self.own:
            return False
        sources = self.exact.get(event.type)
        if sources is not None and (None in sources or event.source in sources):
            return True
        return any(
            kind.fullmatch(event.type) and (source is None or source.fullmatch(event.source))
            for kind, source in self.patterns
        )


def interest(subscriptions: Sequence[tuple[str, str | None]], *, own: str | None = None) -> Interest:
    """Build an interest from (type, source) pairs, each a whole value or a pattern; an empty source matches any."""
    exact: dict[str, set[str | None]] = {}
    patterns = []
    for kind, source in subscriptions:
        if is_pattern(kind) or is_pattern(source):
            patterns.append((compiled(kind), compiled(source) if source else None))
        else:
            exact.setdefault(kind, set()).add(source or None)
    return Interest({kind: frozenset(sources) for kind, sources in exact.items()}, tuple(patterns), own)
