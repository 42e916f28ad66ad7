"""The error tree of the package: one place, so that each edge maps it once.

A temporary error may pass by itself (retry it), a permanent one needs a person (report it). The controller maps
the two to kopf, the gateway maps them to problem documents and protocol errors. Messages name the thing, the cause
and the next step, and never hold a secret: they end up in status, events and answers. No message is empty.
"""


def words(error: BaseException) -> str:
    """What an error says, or what it is: libraries raise time-outs and lost connections without a word."""
    return str(error) or type(error).__name__


class LambdaAgentError(Exception):
    """Anything that this package raises on purpose."""

    def __str__(self) -> str:
        said = super().__str__()
        return said or (words(self.__cause__) if self.__cause__ else type(self).__name__)


class TemporaryError(LambdaAgentError):
    """Worth trying again unchanged."""


class PermanentError(LambdaAgentError):
    """Will fail again until somebody changes something."""


class UsageError(PermanentError):
    """The command line or the configuration asks for something that cannot be done; exit code 2."""
