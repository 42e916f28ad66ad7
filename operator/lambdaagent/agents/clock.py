"""The time and new ids, injected so that tests choose both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float]  # seconds since the epoch
    new_id: Callable[[], str]  # one that nobody else has


def system() -> Clock:
    return Clock(now=time.time, new_id=lambda: str(uuid4()))
