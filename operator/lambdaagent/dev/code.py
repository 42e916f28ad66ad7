"""Which files are an agent's code, so that an edit of one restarts the agent. Pure, but for asking which files exist.

The annotation `dev.lambda.knative.io/watch` names files and folders, relative to the folder of the agent's file, and
`none` for nothing. Without it, it is the source files below the folder that the command runs in, and whatever files the
command names.

Hazard: an agent that writes where it is watched would restart for ever. So only what looks like source counts where
nobody named it, and dev's own data never does.
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
    """Folders: what looks like source below them counts."""
    named: frozenset[Path] = frozenset()
    """Files, and folders with all that is below them."""

    def concerns(self, path: Path) -> bool:
        if any(path == each or each in path.parents for each in self.named):
            return True
        return path.suffix in SOURCE and any(each in path.parents for each in self.sources)

    @property
    def folders(self) -> set[Path]:
        """What has to be watched. A file is watched by its folder, because editors save by renaming."""
        return {*self.sources, *(each if each.is_dir() else each.parent for each in self.named)}


def code(agent: LambdaAgent, *, command: Sequence[str], folder: Path) -> Code:
    """`command` is empty where an engine runs an image. Raises UsageError for an annotation that names nothing."""
    said = agent.metadata.annotations.get(ANNOTATION_DEV_WATCH)
    if said is not None:
        return _named(agent, said, folder)
    if not command:
        return Code()
    # The first word without a slash is a program that the system finds.
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
        what = f"there is no {', '.join(missing)} in {folder}" if missing else "names nothing"
        raise UsageError(f"{agent.key}: annotation {ANNOTATION_DEV_WATCH}: {what}; use files, folders, or {NOTHING}")
    return Code(named=frozenset(paths))


def _file(folder: Path, word: str) -> Path | None:
    """A word of a command may be anything, and longer than a name may be."""
    try:
        path = (folder / word).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
