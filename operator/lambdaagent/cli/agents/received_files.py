"""Writes the files of an answer into a directory.

Invariant: a file is created in the directory itself and never replaces another one. Hazard: an agent chooses the name,
which may be a path, hidden, or that of a link.
"""

import re
from itertools import count
from pathlib import Path

from lambdaagent.errors import LambdaAgentError, UsageError

_LONGEST = 120  # characters of a name
_UNSAFE = re.compile(r"[^\w .,+=@()\[\]-]")
_MOST = 10_000  # files of one name


class ReceivedFiles:
    def __init__(self, folder: str) -> None:
        """Raises UsageError for a directory that cannot be created."""
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--output {folder}: is no directory and cannot become one: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> Path:
        """Write a file under the name, or a similar one that is free. Raises LambdaAgentError."""
        safe = safe_name(name)
        stem, dot, suffix = safe.partition(".")
        for number in count():
            path = self._folder / (f"{stem}-{number}{dot}{suffix}" if number else safe)
            try:
                with path.open("xb") as opened:
                    opened.write(data)
                return path
            except FileExistsError:
                if number >= _MOST:
                    raise LambdaAgentError(f"{self._folder} has {_MOST} files like {safe}; name another one") from None
            except OSError as error:
                raise LambdaAgentError(f"{path} cannot be written: {error.strerror}") from None
        raise AssertionError("count() does not end")


def safe_name(name: str) -> str:
    """Return a name that is neither a path nor hidden."""
    last = re.split(r"[/\\]", name)[-1]
    found = _UNSAFE.sub("_", last).strip(" .")
    while len(found.encode()) > _LONGEST:
        stem, dot, suffix = found.rpartition(".")
        found = f"{stem[:-1]}.{suffix}" if dot and stem[:-1] and len(suffix) < _LONGEST // 4 else found[:-1]
    return found or "file"
