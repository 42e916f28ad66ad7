"""Waiting times between attempts: doubling, capped, and jittered so that replicas do not retry at the same time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


def spread(seconds: float) -> float:
    """Return the seconds until the next look: about as long, so that replicas do not look together."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 (nothing is kept secret by it)


@dataclass(slots=True)
class Backoff:
    """`delay` is stateless; `next` and `reset` count the attempts of one owner."""

    first: float = 0.5
    cap: float = 30.0
    uniform: Callable[[float, float], float] = random.uniform
    _attempts: int = field(default=0, init=False)

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after a failed attempt (1 is the first): from half to all of a doubling time."""
        whole = min(self.cap, self.first * 2.0 ** min(30, max(0, attempt - 1)))
        return self.uniform(whole / 2, whole)

    def next(self) -> float:
        self._attempts += 1
        return self.delay(self._attempts)

    def reset(self) -> None:
        self._attempts = 0
