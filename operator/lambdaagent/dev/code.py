"""Decides which files are an agent's code; an edit of one restarts the agent. Pure, except that it checks which exist.

The annotation `dev.lambda.knative.io/watch` names files and folders, relative to the folder of the agent's file, or is
`none`. Without it, the code is the source files below the command's folder and below the folders of the scripts that
the command names, and any file below the command's folder that the command names.

Hazard: an agent that writes files where it is watched would restart without end. Therefore, unless they are named, only
files with the suffix of a source file count, and dev's own data never does.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.naming import ANNOTATION_DEV_WATCH
from lambdaagent.errors import UsageError

NOTHING = "none"
_SUFFIXES = """\
c cc clj cjs cpp cs cts dart ex exs fs go gradle h hpp hs java jl js jsx kt kts lua mjs ml mod mts nim php pl properties
py pyi rb rs scala sh sum swift toml ts tsx vue zig
"""
SOURCE = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())


@dataclass(frozen=True, slots=True)
class Code:
    sources: frozenset[Path] = frozenset()
    """Folders below which files with the suffix of a source file count."""
    named: frozenset[Path] = frozenset()
    """Files, and folders with everything below them."""

    def concerns(self, path: Path) -> bool:
        if any(path == each or each in path.parents for each in self.named):
            return True
        return path.suffix in SOURCE and any(each in path.parents for each in self.sources)

    @property
    def folders(self) -> set[Path]:
        """The folders to watch. A file is watched by its folder, because editors save by renaming."""
        return {*self.sources, *(each if each.is_dir() else each.parent for each in self.named)}


def code(agent: LambdaAgent, *, command: Sequence[str], folder: Path) -> Code:
    """Return the agent's code. `command` is empty if an engine runs an image. Raises UsageError if the annotation names
    nothing or a missing file."""
    said = agent.metadata.annotations.get(ANNOTATION_DEV_WATCH)
    if said is not None:
        return _named(agent, said, folder)
    if not command:
        return Code()
    # A first word without a slash is a program on the PATH.
    words = command if "/" in command[0] else command[1:]
    files = [path for word in words if (path := _file(folder, word)) is not None]
    scripts = {path.parent for path in files if path.suffix in SOURCE}
    return Code(
        sources=frozenset({folder, *scripts}), named=frozenset(path for path in files if folder in path.parents)
    )


def _named(agent: LambdaAgent, said: str, folder: Path) -> Code:
    try:
        words = shlex.split(said)
    except ValueError as error:
        raise UsageError(f"{agent.key}: annotation {ANNOTATION_DEV_WATCH}: {error}") from None
    if words == [NOTHING]:
        return Code()
    paths = [(folder / word).resolve() for word in words]
    missing = [word for word, path in zip(words, paths, strict=True) if not path.exists()]
    if missing or not words:
        what = f"there is no {', '.join(missing)} in {folder}" if missing else "names no file"
        raise UsageError(f"{agent.key}: annotation {ANNOTATION_DEV_WATCH}: {what}; use files, folders, or {NOTHING}")
    return Code(named=frozenset(paths))


def _file(folder: Path, word: str) -> Path | None:
    """Return the word as a file if it is one; a word may be any text, and longer than a file name may be."""
    try:
        path = (folder / word).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
