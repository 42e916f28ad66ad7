"""Where the tests look for the programs of the real parts, and where they keep those that they fetch.

The order: KUBEBUILDER_ASSETS, PATH, the cache of this project, and the cache of a one-node test cluster of the same
versions. No test is skipped for want of a part: PartMissingError names what to install.
"""

import os
import shutil
from pathlib import Path


class PartMissingError(RuntimeError):
    """A part is missing and cannot be fetched; the message names what to install."""


def cache() -> Path:
    return _cache_home() / "lambdaagent" / "bin"


def find(name: str) -> Path | None:
    """Returns the path of the program, or None."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in (assets, None, cache(), _cache_home() / "lambdaagent-cluster"):
        found = shutil.which(name, path=str(folder)) if folder else shutil.which(name)
        if found:
            return Path(found)
    return None


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
