"""Commands that do not load pydantic to find that nobody asked for their help.

typer converts every value that is no boolean with pydantic, a quarter of a second, and `--help` that was not given is
None. Each group needs this, for the help of the commands below it, and each command that is to be quick itself.
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
