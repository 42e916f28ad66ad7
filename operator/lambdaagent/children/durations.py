"""Durations as a container expects to read them."""

from lambdaagent.api import amounts


def seconds(duration: str) -> str:
    """Whole seconds without a point."""
    return f"{amounts.seconds(duration):.3f}".rstrip("0").rstrip(".")
