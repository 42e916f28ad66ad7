"""YAML documents, parsed by libyaml if it is installed: it parses a rendered chart five times as fast as PyYAML."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

RICHEST = Path(__file__).parents[1] / "cases" / "agents" / "richest.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str) -> list[dict[str, Any]]:
    """Returns the documents that are not empty."""
    found: Iterable[dict[str, Any] | None] = yaml.load_all(text, Loader=_LOADER)
    return [document for document in found if document]
