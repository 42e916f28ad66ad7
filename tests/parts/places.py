"""Where a real part of a test run is looked for, and where a fetched one is kept.

The order is the one that `make test` documents: KUBEBUILDER_ASSETS, PATH, this project's cache, and last a cache that
a one-node test cluster of the same versions may have left behind. Nothing is ever skipped: a part that cannot be had
raises PartMissingError, whose text says what to install.
"""

import os
import shutil
from pathlib import Path


class PartMissingError(RuntimeError):
    """A part is not there and cannot be fetched; the message names what to install."""


def cache() -> Path:
    return _cache_home() / "lambdaagent" / "bin"


def find(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in (assets, None, cache(), _cache_home() / "lambdaagent-cluster"):
        found = shutil.which(name, path=str(folder)) if folder else shutil.which(name)
        if found:
            return Path(found)
    return None


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
