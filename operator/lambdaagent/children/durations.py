"""Durations as the API writes them (`1h30m`, `500ms`) into seconds."""

import re

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(duration: str) -> str:
    """Whole seconds without a point, as a container expects to read them; the text has passed the API's pattern."""
    total = sum(
        float(amount) * _UNITS[unit] for amount, unit in re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)", duration)
    )
    return f"{total:.3f}".rstrip("0").rstrip(".")
