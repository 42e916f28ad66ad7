"""The `lambdaagent` command. Exit codes: 0 done, 1 it failed, 2 it was asked wrongly.

Each process is imported only by its own command: a client library costs a third of a second.
"""

import sys
from importlib import metadata

import typer

from lambdaagent.cli import events, migrate, offline, processes, rbac
from lambdaagent.cli.printing import say
from lambdaagent.errors import LambdaAgentError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="AI agents on Kubernetes: Knative Services and RabbitMQ Triggers out of LambdaAgents, callable over A2A.",
)
offline.register(app)
processes.register(app)
rbac.register(app)
migrate.register(app)
events.register(app)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(metadata.version("lambdaagent"))


def main() -> None:
    try:
        app()
    except UsageError as error:
        say(f"lambdaagent: {error}")
        sys.exit(2)
    except LambdaAgentError as error:
        say(f"lambdaagent: {error}")
        sys.exit(1)
