"""What the fields of a workflow may be, such as durations and names. A check returns why a value is refused."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Check = Callable[[Any], str]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,59}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
_DSL = re.compile(r"1\.0\.[0-3](?:-[A-Za-z0-9.]+)?")
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_DURATION = re.compile(
    r"P(?:(?P<days>[0-9]{1,4})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,5})H)?(?:(?P<minutes>[0-9]{1,6})M)?(?:(?P<seconds>[0-9]{1,7}(?:\.[0-9]{1,3})?)S)?)?"
)
_UNITS: Mapping[str, float] = MappingProxyType(
    {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}
)
LONGEST = 7 * 86_400.0
"""Seconds: the longest wait, timeout, delay and run."""


def seconds(value: Any) -> float | None:
    """Return the seconds of a duration, in the form of an object or of ISO 8601; None: it is none."""
    parts: Mapping[str, Any]
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None or value == "P":
            return None
        parts = {unit: float(count) for unit, count in found.groupdict().items() if count is not None}
    elif isinstance(value, dict) and value:
        parts = value
    else:
        return None
    total = 0.0
    for unit, count in parts.items():
        if unit not in _UNITS or not isinstance(count, int | float) or isinstance(count, bool) or not 0 <= count < 1e9:
            return None
        total += _UNITS[unit] * count
    return total


def duration(value: Any) -> str:
    found = seconds(value)
    if found is None:
        return "must be a duration: {days, hours, minutes, seconds, milliseconds}, or ISO 8601 such as PT15S"
    return "" if found <= LONGEST else f"must be at most {LONGEST / 86_400:g} days"


def _matching(pattern: re.Pattern[str], otherwise: str) -> Check:
    return lambda value: "" if isinstance(value, str) and pattern.fullmatch(value) else otherwise


name = _matching(_NAME, "must be a name of letters, digits, - and _, at most 63 characters")
label = _matching(_LABEL, "must be lower case letters, digits and -, at most 61 characters")
variable = _matching(_VARIABLE, "must be the name of a variable: letters, digits and _")
version = _matching(_VERSION, "must be a version such as '1.0.0' (quote it: 1.0 is a number)")
dsl = _matching(_DSL, "must be a version from '1.0.0' to '1.0.3' of the DSL (quote it)")
event_type = _matching(_TOPIC, "must be words of letters, digits, _ and - with dots between: it is the topic, too")


def text(value: Any) -> str:
    return "" if isinstance(value, str) and len(value) <= 4096 else "must be a text of at most 4096 characters"


def boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def map_(value: Any) -> str:
    return "" if isinstance(value, dict) else "must be an object"


def list_(value: Any) -> str:
    return "" if isinstance(value, list) else "must be a list"


def anything(value: Any) -> str:
    return ""


def status(value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if whole and 100 <= value <= 599 else "must be a status from 100 to 599"


def count(value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if whole and 1 <= value <= 1_000 else "must be a whole number from 1 to 1000"


def one_of(*known: str) -> Check:
    return lambda value: "" if value in known else f"must be one of {', '.join(known)}"
