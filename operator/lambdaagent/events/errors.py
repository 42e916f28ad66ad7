"""What can be wrong with an event that somebody sent: permanent, because the same bytes stay wrong."""

from lambdaagent.errors import PermanentError


class EventError(PermanentError):
    """`attribute` names the context attribute at fault, where there is one."""

    def __init__(self, message: str, *, attribute: str | None = None) -> None:
        super().__init__(message)
        self.attribute = attribute


class MissingAttributeError(EventError):
    """A required context attribute is absent or empty; never made up on the sender's behalf."""

    def __init__(self, attribute: str) -> None:
        super().__init__(
            f"the event has no attribute '{attribute}', which CloudEvents 1.0 requires", attribute=attribute
        )


class InvalidAttributeError(EventError):
    """A context attribute is there and breaks its type's rules."""

    def __init__(self, attribute: str, problem: str) -> None:
        super().__init__(f"the event's attribute '{attribute}' {problem}", attribute=attribute)


class MalformedEventError(EventError):
    """The carrier itself cannot be read: not JSON, not a batch, not a CloudEvent at all."""


class TooManyError(EventError):
    """The event or the batch is larger than is taken: too many events, attributes or values."""


class NotAnEventError(EventError):
    """Neither binary nor structured nor batch: there is no sign of a CloudEvent."""
