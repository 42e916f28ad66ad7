"""Command classes that avoid loading pydantic for a `--help` option that was not given.

typer converts every value that is not a boolean with pydantic, which takes a quarter of a second to load, and the value
of a `--help` that was not given is None. Each group needs these classes for the help of its commands, and so does each
command that has to start fast.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Group(TyperGroup):
    def get_help_option(self, ctx: Any) -> Any:
        return _not_asked_for(super().get_help_option(ctx))


class Quick(TyperCommand):
    def get_help_option(self, ctx: Any) -> Any:
        return _not_asked_for(super().get_help_option(ctx))


def _not_asked_for(option: Any) -> Any:
    if option is not None:
        option.default = False
    return option
