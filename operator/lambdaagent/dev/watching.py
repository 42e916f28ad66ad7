"""Says when manifest files changed. Editors save by renaming, so folders are watched and not files."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from lambdaagent.kube.manifests import SUFFIXES


class _Manifests(DefaultFilter):
    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._paths = paths

    def __call__(self, change: Change, path: str) -> bool:
        changed = Path(path)
        inside = any(changed == each or each in changed.parents for each in self._paths)
        return inside and changed.suffix in SUFFIXES and super().__call__(change, path)


async def changes(paths: Sequence[str]) -> AsyncIterator[None]:
    """Yields after changes have settled. Standard input does not change."""
    named, folders = _folders(paths)
    async for _ in awatch(*folders, watch_filter=_Manifests(named), debounce=300, step=50):
        yield None


def _folders(paths: Sequence[str]) -> tuple[list[Path], set[Path]]:
    named = [Path(path).resolve() for path in paths if path != "-"]
    return named, {path if path.is_dir() else path.parent for path in named}
