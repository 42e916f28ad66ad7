"""The time and new ids, injected so that tests control both, and how a time is written."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from os import urandom
from typing import Literal
from uuid import uuid4


def sequence() -> Callable[[], str]:
    """Return a source of unique but guessable ids: a random prefix and a count.

    They cost a tenth of a random id, and serve where an id is no secret.
    """
    beginning, numbers = uuid4().hex, count(1)
    return lambda: f"{beginning}-{next(numbers):x}"


def rfc3339(at: float | datetime, *, digits: Literal["seconds", "milliseconds", "microseconds"] = "seconds") -> str:
    """Return the time (seconds since the epoch, or an aware datetime) in UTC, as in `2026-01-31T12:00:00Z`."""
    moment = at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    # Four times as fast as formatting the fields; the part cut off is the UTC offset.
    return moment.isoformat(timespec=digits)[:-6] + "Z"


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float]  # seconds since the epoch
    new_id: Callable[[], str]  # unique and unguessable: for tasks, contexts, messages
    new_mark: Callable[[], str] = field(default_factory=sequence)  # unique: for events and requests


def random_uuid() -> str:
    """Return a UUID of version 4 (RFC 9562 section 5.4).

    Each message needs three, and the standard library's function costs twice as much.
    """
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def system() -> Clock:
    return Clock(now=time.time, new_id=random_uuid)
