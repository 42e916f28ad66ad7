"""The `--data` folder of a `dev`: its database, and where it listens, for commands that run beside it.

Standard library alone: it is read by commands that start in no time.
"""

from pathlib import Path

from lambdaagent.errors import UsageError

DEFAULT = Path(".lambdaagent")
_ADDRESS = "url"


def database(folder: Path) -> Path:
    return folder / "lambdaagent.db"


def prepare(folder: Path) -> None:
    """Raises UsageError naming the folder and why it will not do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # What stands in the way may be the folder itself or one above it.
        raise UsageError(f"--data {folder}: cannot be made: {error.strerror}; name another folder") from None


def keep_address(folder: Path, url: str) -> None:
    """Raises UsageError: whatever hinders this hinders the database too."""
    try:
        (folder / _ADDRESS).write_text(url + "\n")
    except OSError as error:
        raise UsageError(f"--data {folder}: cannot be written to: {error.strerror}; name another folder") from None


def address(folder: Path) -> str:
    """Where the dev of this folder listens, or did; empty where none ever did."""
    try:
        return (folder / _ADDRESS).read_text().strip()
    except (OSError, ValueError):
        return ""


def default(*, unless: str) -> Path | None:
    """The folder that `dev` uses by itself, where there is one and nothing else is named."""
    return DEFAULT if not unless and database(DEFAULT).is_file() else None
