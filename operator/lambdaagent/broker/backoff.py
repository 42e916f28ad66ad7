"""Waiting times between attempts: doubling, capped and jittered."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    first: float = 0.2
    cap: float = 15.0

    def delay(self, attempt: int) -> float:
        """Before attempt 2, 3, ...: between half and all of a doubling time."""
        whole = min(self.cap, self.first * 2.0 ** min(30, max(0, attempt - 1)))
        return random.uniform(whole / 2, whole)  # noqa: S311
