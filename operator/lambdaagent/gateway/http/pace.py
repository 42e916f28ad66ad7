"""How slow a client may be with the body of its request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """A body that is kept until it is whole must come at the rate, after so much patience. One that is passed on as it
    comes may be made as slowly as it is sent; it must go on, and the call that it belongs to has a limit of its own.
    """

    patience: float = 30.0  # seconds
    rate: float = 4096.0  # bytes per second
