"""The time and new ids, injected so that tests choose both."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from os import urandom
from uuid import uuid4


def sequence() -> Callable[[], str]:
    """Unique and guessable: a random beginning and a count. A tenth of a random id's cost, for what is no secret."""
    beginning, numbers = uuid4().hex, count(1)
    return lambda: f"{beginning}-{next(numbers):x}"


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float]  # seconds since the epoch
    new_id: Callable[[], str]  # one that nobody else has or guesses: of tasks, contexts, messages
    new_mark: Callable[[], str] = field(default_factory=sequence)  # of events and requests


def random_uuid() -> str:
    """Version 4 (RFC 9562 section 5.4); each message needs three, and the standard library's costs twice as much."""
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def system() -> Clock:
    return Clock(now=time.time, new_id=random_uuid)
