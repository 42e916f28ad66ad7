"""What can go wrong with a store.

After TaskConflictError, StoreFullError and UnfitError nothing was written. After any other StoreError the write may
have been committed all the same: its answer was lost.
"""

from lambdaagent.errors import PermanentError, TemporaryError


class StoreError(TemporaryError):
    """The store could not read or write now."""


class StoreFullError(StoreError):
    """Every place is taken by something that has not ended yet."""


class TaskConflictError(StoreError):
    """The task moved on since the caller read it; nothing was written."""


class StoreUnusableError(PermanentError):
    """The store cannot be opened: in use elsewhere, not a database, or written by a newer version."""


class InUseError(StoreUnusableError):
    """Another process has the file open."""


class UnfitError(StoreError):
    """The store can never keep this: it is no JSON, too deep, or not what the database takes. Nothing was written."""
