"""When an event is delivered again, and when it is given up. Pure.

Of a container's answers 2xx is the end of a delivery; 408, 409, 425, 429, 5xx, 404 (a route that is not there yet) and
no answer at all may be better next time; every other answer is a refusal that no repetition mends.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Literal

ATTEMPTED = "LambdaAgent-Attempted"
"""A header of a gateway's answer to a delivery; `no`: the agent was not called, so that it was no attempt."""
_LONGEST = 86_400.0  # seconds that a Retry-After may say
_AGAIN = frozenset((404, 408, 409, 425, 429))
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


class RetryDecision(StrEnum):
    DELIVERED = "delivered"
    AGAIN = "again"
    REFUSED = "refused"


def judge(status: int) -> RetryDecision:
    if 200 <= status < 300:
        return RetryDecision.DELIVERED
    return RetryDecision.AGAIN if status >= 500 or status in _AGAIN else RetryDecision.REFUSED


def seconds(duration: str) -> float:
    """Of an ISO 8601 duration as the API takes it (days and smaller)."""
    match = _ISO.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is no ISO 8601 duration of days, hours, minutes and seconds")
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


@dataclass(frozen=True, slots=True)
class Policy:
    """`retry` counts the attempts after the first one; times are seconds."""

    retry: int = 3
    backoff: Literal["linear", "exponential"] = "exponential"
    delay: float = 1.0
    cap: float = 60.0
    timeout: float = 300.0

    def wait(self, attempt: int, *, retry_after: float | None = None) -> float | None:
        """Before the attempt that follows the given one (1 is the first); None: give up.

        The same times as Knative's (delay x 2^n, delay x n), but capped. A container's Retry-After counts where it is
        longer than our own time.
        """
        if attempt > self.retry:
            return None
        factor = 2.0 ** min(attempt, 30) if self.backoff == "exponential" else float(attempt)
        return max(min(self.cap, self.delay * factor), min(retry_after or 0.0, self.cap))


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds of a Retry-After header in either form; None where there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(_LONGEST, float(text))
    try:
        return min(_LONGEST, max(0.0, parsedate_to_datetime(text).timestamp() - now)) if text else None
    except (ValueError, OverflowError):
        return None


def number(value: object, *, otherwise: int) -> int:
    """What a sender wrote of a whole number, where it is one that a database keeps."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise
