"""Converts durations and quantities to numbers; each text must match its pattern in the API."""

import re
from decimal import Decimal

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as `1h30m` or `500ms`."""
    found = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)", duration)
    return sum(float(amount) * _UNITS[unit] for amount, unit in found)


def quantity(text: str) -> Decimal:
    """Return the value of a Kubernetes quantity such as `500m`, `1.5Gi` or `1e3`."""
    number = text.rstrip("numkMGTPEi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]
