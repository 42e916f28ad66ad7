"""Limits repeated log lines: the same problem is logged once, and then every ten minutes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST = 1000


@dataclass
class LogLimit:
    every: float = 600.0
    now: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)

    def news(self, name: str, problem: str) -> bool:
        """Return whether to log the problem."""
        known = self._known.get(name)
        if known is not None and known[0] == problem and self.now() - known[1] < self.every:
            return False
        self._known.pop(name, None)
        self._known[name] = problem, self.now()
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return True

    def over(self, name: str) -> None:
        """Mark the problem as over, so that it is logged when it occurs again."""
        self._known.pop(name, None)
