"""Reads what sidecars get of the access file, once at the start: a change of it reaches them by new pods."""

from typing import TypeVar

from lambdaagent.access.installation import parse
from lambdaagent.identity.reading import read_text
from lambdaagent.settings import Installation

Settings = TypeVar("Settings", bound=Installation)


def with_sidecar_rules(settings: Settings) -> Settings:
    """Raises AccessFileError for an invalid access file."""
    if settings.access == "off" or not settings.access_file:
        return settings
    found = parse(read_text(settings.access_file), file=settings.access_file).for_sidecar()
    return settings.with_sidecar_rules(found.model_dump_json(by_alias=True, exclude_defaults=True))
