"""What an agent wants of the events that reach its queue. Pure.

A headers exchange compares whole values only. An agent that subscribes to a pattern, or wants none of its own events,
therefore gets everything into its queue, and what it did not ask for is dropped where it is taken out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lambdaagent.events.cloudevents import Event

MARKS = "*?"


def is_pattern(text: str | None) -> bool:
    return bool(text) and any(mark in (text or "") for mark in MARKS)


def compiled(pattern: str) -> re.Pattern[str]:
    """`*` stands for any characters, none and dots included; `?` for one."""
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.compile("".join(parts), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Interest:
    """`exact`: type -> sources, None for any. `own`: the source of events that are not wanted."""

    exact: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    patterns: Sequence[tuple[re.Pattern[str], re.Pattern[str] | None]] = ()
    own: str | None = None

    @property
    def filtered(self) -> bool:
        """Whether more arrives than is wanted."""
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
    """Of (type, source) pairs, each a whole value or a pattern; an empty source is any."""
    exact: dict[str, set[str | None]] = {}
    patterns = []
    for kind, source in subscriptions:
        if is_pattern(kind) or is_pattern(source):
            patterns.append((compiled(kind), compiled(source) if source else None))
        else:
            exact.setdefault(kind, set()).add(source or None)
    return Interest({kind: frozenset(sources) for kind, sources in exact.items()}, tuple(patterns), own)
