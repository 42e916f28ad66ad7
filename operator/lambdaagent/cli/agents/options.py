"""The arguments and options that the commands of agents share."""

from enum import StrEnum
from typing import Annotated

import typer

AgentName = Annotated[
    str, typer.Argument(metavar="AGENT", help="NAMESPACE/NAME, or NAME if only one agent of the gateway has it.")
]
Skill = Annotated[str, typer.Option(help="Id of the skill to call; default: the agent's only skill, or its choice.")]
Folder = Annotated[str, typer.Option("--output", help="Directory for files of the answer; no file is replaced.")]
CONTINUED = 3
"""The exit code of a command whose task waits for the caller."""


class DocumentForm(StrEnum):
    JSON = "json"
    YAML = "yaml"
