"""Decides when an event is delivered again, and when it is given up. Pure.

A container's 2xx ends a delivery; 408, 409, 425, 429, 5xx, 404 (a route that does not exist yet) and no response at all
are retried; every other response is a refusal that is not retried.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Literal

ATTEMPTED = "LambdaAgent-Attempted"
"""A header of the gateway's response to a delivery; `no`: the agent was not called, so this was no attempt."""
_LONGEST = 86_400.0  # limit of a Retry-After, in seconds
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
    """Return the seconds of an ISO 8601 duration in the API's form (days and smaller). Raises ValueError."""
    match = _ISO.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is not an ISO 8601 duration of days, hours, minutes and seconds")
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


@dataclass(frozen=True, slots=True)
class Policy:
    """`retry` is the number of attempts after the first one; times are in seconds."""

    retry: int = 3
    backoff: Literal["linear", "exponential"] = "exponential"
    delay: float = 1.0
    cap: float = 60.0
    timeout: float = 300.0

    def wait(self, attempt: int, *, retry_after: float | None = None) -> float | None:
        """Return the wait after the given attempt (1 is the first), in seconds; None: give up.

        The formulas are Knative's (delay x 2^n, delay x n), but capped. A container's Retry-After is used if it is
        longer, up to the cap.
        """
        if attempt > self.retry:
            return None
        factor = 2.0 ** min(attempt, 30) if self.backoff == "exponential" else float(attempt)
        return max(min(self.cap, self.delay * factor), min(retry_after or 0.0, self.cap))


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds of a Retry-After header in either form; None if there is no readable one."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(_LONGEST, float(text))
    try:
        return min(_LONGEST, max(0.0, parsedate_to_datetime(text).timestamp() - now)) if text else None
    except (ValueError, OverflowError):
        return None


def number(value: object, *, otherwise: int) -> int:
    """Return the whole number that a sender wrote, or `otherwise` if it is none or has ten digits or more."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise
