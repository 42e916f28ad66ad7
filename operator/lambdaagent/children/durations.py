"""Durations in the form that a container's environment has."""

from lambdaagent.api import quantities


def seconds(duration: str) -> str:
    """Return the duration in seconds, with at most three decimals and none if it is whole."""
    return f"{quantities.seconds(duration):.3f}".rstrip("0").rstrip(".")
