"""The base classes of the package's errors.

A temporary error may disappear without a change (retry it); a permanent one needs a person (report it). The controller
tries a failed reconcile again with back-off, the gateway answers with problem documents and protocol errors.

Invariant: a message names the object, the cause and the next step, and is never empty. Hazard: messages appear in
status, events and responses, so they must not contain a secret.
"""


def words(error: BaseException) -> str:
    """Return an error's message, or else its class: libraries raise timeouts and lost connections without a message."""
    return str(error) or type(error).__name__


class LambdaAgentError(Exception):
    """The base of all errors that this package raises deliberately."""

    def __str__(self) -> str:
        said = super().__str__()
        return said or (words(self.__cause__) if self.__cause__ else type(self).__name__)


class TemporaryError(LambdaAgentError):
    """The same operation may succeed later."""


class PermanentError(LambdaAgentError):
    """The operation fails until its input or its environment is changed."""


class UsageError(PermanentError):
    """The command line or the configuration is invalid; exit code 2."""
