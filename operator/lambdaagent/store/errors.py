"""Errors of a store.

After TaskConflictError, StoreFullError and UnfitError nothing was written. After any other StoreError the write may
have been committed, because only its response may have been lost. SealedValueError is raised by reads only.
"""

from lambdaagent.errors import PermanentError, TemporaryError


class StoreError(TemporaryError):
    """The store cannot read or write at present."""


class StoreFullError(StoreError):
    """Every place is taken by a task that has not ended."""


class TaskConflictError(StoreError):
    """The task changed since the caller read it; nothing was written."""


class StoreUnusableError(PermanentError):
    """The store cannot be opened: in use elsewhere, not a database, or written by a newer version."""


class InUseError(StoreUnusableError):
    """Another process has the file open."""


class UnfitError(StoreError):
    """The store can never keep this value (not JSON, too deep, or refused by the database). Nothing was written."""


class SealedValueError(StoreError):
    """A stored value cannot be decrypted: its key is missing, or the value was changed. It stays as it is.

    The same read succeeds once the key is configured again, so this is a temporary error; waiting alone does not help.
    """

    def __init__(self, message: str, *, kid: str = "", missing: bool = False) -> None:
        super().__init__(message)
        self.kid = kid
        self.missing = missing  # the key; otherwise the value, or its key, is another one
