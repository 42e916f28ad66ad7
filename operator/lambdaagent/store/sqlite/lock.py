"""A lock that lets one process open a database file. The kernel releases it with the process, also after kill -9."""

import fcntl
import os
from pathlib import Path

from lambdaagent.store.errors import InUseError, StoreUnusableError


class FileLock:
    def __init__(self, path: Path) -> None:
        """Lock a file beside the database, which holds SQLite's own locks. Raises InUseError, StoreUnusableError."""
        lock = path.with_name(f"{path.name}.lock")
        try:
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnusableError(f"{path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise InUseError(
                f"{path} is in use by another process; one process at a time may open it. Stop that one, give this "
                f"one another file, or use PostgreSQL for several replicas."
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)
