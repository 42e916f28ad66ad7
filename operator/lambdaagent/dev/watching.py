"""Yields the files that changed. Folders are watched and not files, because editors save by renaming."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path

import structlog
from watchfiles import Change, DefaultFilter, awatch

from lambdaagent.errors import words
from lambdaagent.kube.manifests import SUFFIXES

log = structlog.get_logger(__name__)

Folders = Callable[[], Collection[Path]]


class _Filter(DefaultFilter):
    """Ignores files of editors, caches and version control, and the folders in `ignored`, which are dev's own."""

    def __init__(self, ignored: Collection[Path]) -> None:
        super().__init__()
        self._ignored = ignored

    def __call__(self, change: Change, path: str) -> bool:
        here = Path(path)
        return super().__call__(change, path) and not any(
            each == here or each in here.parents for each in self._ignored
        )


async def changes(folders: Folders, *, ignored: Collection[Path] = ()) -> AsyncIterator[set[Path]]:
    """Yield the files that changed, once they have settled. `folders` is called again after each change.

    An empty set means that other folders are watched from now on; the consumer must look for changes in between.
    """
    watch_filter = _Filter(ignored)
    while True:
        watched = _outermost(folders())
        try:
            async for found in awatch(*watched, watch_filter=watch_filter, debounce=300, step=50):
                yield {Path(path) for _, path in found}
                if _outermost(folders()) != watched:
                    break
            else:
                return
        except (OSError, RuntimeError) as problem:
            # Such as too many watches for this user, or a folder that no longer exists.
            log.error("files.watch_failed", error=words(problem), next_step="start dev again after an edit")
            await asyncio.Event().wait()
        yield set()


def _outermost(folders: Collection[Path]) -> list[Path]:
    """Return the existing folders that are not inside another one: a watch includes the folders below."""
    found: list[Path] = []
    for folder in sorted(folder for folder in folders if folder.is_dir()):
        if not any(each == folder or each in folder.parents for each in found):
            found.append(folder)
    return found


class ManifestPaths:
    """The paths on the command line. Standard input is not watched."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._named = [Path(path).resolve() for path in paths if path != "-"]
        self.folders = {path if path.is_dir() else path.parent for path in self._named}

    def concerns(self, path: Path) -> bool:
        return path.suffix in SUFFIXES and any(path == each or each in path.parents for each in self._named)
