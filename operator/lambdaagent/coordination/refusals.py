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
