"""Why a credential is refused, or why nobody can say yet."""

from lambdaagent.errors import PermanentError, TemporaryError


class CredentialError(PermanentError):
    """The credential is refused. `reason` is one word for metrics and the audit log; the message is for the caller.

    Invariant: neither holds a part of the credential.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class IdentityUnavailableError(TemporaryError):
    """The source that knows the credential cannot be asked now."""
