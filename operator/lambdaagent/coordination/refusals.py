"""Why a message is not accepted."""

from collections.abc import Collection

from lambdaagent.errors import PermanentError


class LoopError(PermanentError):
    """The message was caused by so many others in a row that agents may be answering one another without end."""


class OtherMessageError(Exception):
    """A message with this id and another content, or of another sender, was accepted before."""


class QueueFullError(Exception):
    """No receiver of the message has a place left in its queue."""

    def __init__(self, receivers: Collection[str]) -> None:
        super().__init__(", ".join(list(receivers)[:10]))


class IdInUseError(Exception):
    """Something with this id is there already."""


class TooManyError(Exception):
    """The principal has as many of these as it may have."""


class VersionError(Exception):
    """There is a newer version than the one that the change is for."""

    def __init__(self, version: int) -> None:
        super().__init__(str(version))
        self.version = version


class TooLargeError(Exception):
    """The result is larger than it may be."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"it has {size} bytes of at most {most}")


class TooManyValuesError(TooLargeError):
    """Comparing so many values would take too long, though they are short."""

    def __init__(self) -> None:
        Exception.__init__(self, "it has too many values; keep long lists elsewhere")


class ClosedError(Exception):
    """The proposal takes no more votes; the text is its status."""


class NotElectorError(Exception):
    """The voter is none of the electorate, which was fixed when the proposal opened."""


class UnknownChoiceError(Exception):
    """The choice is none of the proposal's options; the text names them."""
