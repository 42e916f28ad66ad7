"""Errors of an event that a client sent. They are permanent, because the same bytes stay invalid."""

from lambdaagent.errors import PermanentError


class EventError(PermanentError):
    """An event is invalid. `attribute` is the name of the faulty context attribute, if there is one."""

    def __init__(self, message: str, *, attribute: str | None = None) -> None:
        super().__init__(message)
        self.attribute = attribute


class MissingAttributeError(EventError):
    """A required context attribute is absent or empty; it is never filled in for the sender."""

    def __init__(self, attribute: str) -> None:
        super().__init__(
            f"the event has no attribute '{attribute}', which CloudEvents 1.0 requires", attribute=attribute
        )


class InvalidAttributeError(EventError):
    """A context attribute violates the rules of its type."""

    def __init__(self, attribute: str, problem: str) -> None:
        super().__init__(f"the event's attribute '{attribute}' {problem}", attribute=attribute)


class MalformedEventError(EventError):
    """The carrier cannot be read: it is not JSON, not a batch, or not a CloudEvent."""


class TooManyError(EventError):
    """The event or the batch exceeds a limit of events, attributes or values."""


class NotAnEventError(EventError):
    """The content is not a CloudEvent in binary, structured or batch mode."""
