"""Errors of a store.

After TaskConflictError, StoreFullError and UnfitError nothing was written. After any other StoreError the write may
have been committed, because only its response may have been lost.
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
