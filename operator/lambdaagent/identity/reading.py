"""Reads the files of access control within a limit: the access file, its secrets and an issuer's keys."""

from pathlib import Path

from lambdaagent.access.installation import AccessFileError

BYTES = 1024 * 1024
"""The maximum size of a ConfigMap or Secret."""


def read_text(path: str) -> str:
    """Raises AccessFileError for a file that is missing, unreadable, over `BYTES` or not UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise AccessFileError(f"{path} is not UTF-8") from None


def read_bytes(path: str, *, limit: int = BYTES) -> bytes:
    """Raises AccessFileError for a file that is missing, unreadable or over `limit` bytes."""
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise AccessFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise AccessFileError(f"{path} is over the limit of {limit // 1024} KiB")
    return data
