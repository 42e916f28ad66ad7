"""The `--data` folder of a `dev`: its database and its address, for commands that run beside it.

Uses only the standard library, because commands that must start fast use it.
"""

from pathlib import Path

from lambdaagent.errors import UsageError

DEFAULT = Path(".lambdaagent")
_ADDRESS = "url"


def database(folder: Path) -> Path:
    return folder / "lambdaagent.db"


def prepare(folder: Path) -> None:
    """Create the folder. Raises UsageError, with the folder and the reason, if it cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # The obstacle may be the folder itself or one above it.
        raise UsageError(f"--data {folder}: cannot be created: {error.strerror}; name another folder") from None


def keep_address(folder: Path, url: str) -> None:
    """Store the address. Raises UsageError if the folder is not writable, which prevents the database too."""
    try:
        (folder / _ADDRESS).write_text(url + "\n")
    except OSError as error:
        raise UsageError(f"--data {folder}: cannot be written to: {error.strerror}; name another folder") from None


def address(folder: Path) -> str:
    """Return the address of the last `dev` of this folder; empty if there was none."""
    try:
        return (folder / _ADDRESS).read_text().strip()
    except (OSError, ValueError):
        return ""


def default(*, unless: str) -> Path | None:
    """Return the default folder of `dev` if it has a database and `unless` is empty, else None."""
    return DEFAULT if not unless and database(DEFAULT).is_file() else None
