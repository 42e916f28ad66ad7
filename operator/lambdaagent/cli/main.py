"""The `lambdaagent` command. Exit codes: 0 success, 1 failure, 2 wrong usage, 3 a task waits for input.

Invariant: this module and those that declare commands import only typer and the standard library before a command runs.
`--help` loads them all, and one client library takes a third of a second.
"""

import sys
from typing import Annotated

import typer

from lambdaagent.cli import access, completion, events, mcp, migrate, offline, processes, rbac, store, tools
from lambdaagent.cli.agents import groups as agents
from lambdaagent.cli.coordination import groups as coordination
from lambdaagent.cli.groups import Group, Quick
from lambdaagent.cli.printing import escape_unencodable, say
from lambdaagent.errors import LambdaAgentError, UsageError

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,  # it loads pydantic at each press of the tab key; see `completion`
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run LambdaAgents as AI agents on Kubernetes, with Knative and RabbitMQ, callable over A2A.",
)
offline.register(app)
processes.register(app)
rbac.register(app)
migrate.register(app)
store.register(app)
events.register(app)
access.register(app)
mcp.register(app)
tools.register(app)
agents.register(app)
coordination.register(app)
completion.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command(cls=Quick)
def version() -> None:
    """Print the version."""
    from importlib import metadata

    typer.echo(metadata.version("lambdaagent"))


def main() -> None:
    escape_unencodable()
    try:
        app()
    except UsageError as error:
        say(f"lambdaagent: {error}")
        sys.exit(2)
    except LambdaAgentError as error:
        say(f"lambdaagent: {error}")
        sys.exit(1)
