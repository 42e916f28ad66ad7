"""What can go wrong with a store. Nothing was written unless it says so."""

from lambdaagent.errors import PermanentError, TemporaryError


class StoreError(TemporaryError):
    """The store could not read or write now."""


class StoreFullError(StoreError):
    """Every place is taken by something that has not ended yet."""


class ConflictError(StoreError):
    """The task moved on since the caller read it; nothing was written."""


class StoreUnusableError(PermanentError):
    """The store cannot be opened: in use elsewhere, not a database, or written by a newer version."""


class UnfitError(StoreError):
    """Something in it is not what the database takes: a batch must not fail for one of it."""
