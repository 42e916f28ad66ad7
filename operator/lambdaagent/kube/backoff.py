"""Waiting times between attempts: doubling, capped, and jittered so that replicas do not knock in step."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    first: float = 0.5
    cap: float = 30.0
    uniform: Callable[[float, float], float] = random.uniform
    _next: float = field(default=0.0, init=False)

    def reset(self) -> None:
        self._next = 0.0

    def next(self) -> float:
        """Between half and all of a time that doubles with every call."""
        self._next = min(self.cap, self._next * 2 or self.first)
        return self.uniform(self._next / 2, self._next)
