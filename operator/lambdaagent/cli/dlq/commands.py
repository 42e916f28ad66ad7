"""`lambdaagent events dlq`: lists, shows, redrives and drops events that could not be delivered.

It reads RabbitMQ and the database with the settings of the processes and is not part of the gateway's HTTP API: users
who may run commands in the pod may run it (decision 0014). The commands are declared here and implemented in `actions`.
"""

from pathlib import Path
from typing import Annotated

import typer

from lambdaagent.cli.dlq.output_format import Form
from lambdaagent.cli.groups import Group
from lambdaagent.errors import UsageError

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="IDs of dead letters, as `list` prints them.")]
All = Annotated[bool, typer.Option("--all", help="All dead letters that match the filters.")]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", help="Namespace; default: all in the database, LAMBDAAGENT_NAMESPACES in RabbitMQ."
    ),
]
Agent = Annotated[str, typer.Option(help="Agent of the event: NAME or NAMESPACE/NAME.")]
Type = Annotated[str, typer.Option("--type", help="Type of the event.")]
Older = Annotated[str, typer.Option(help="Only events dead-lettered longer ago than this, as in 30m, 2h, 7d.")]
Newer = Annotated[str, typer.Option(help="Only events dead-lettered within this time, as in 30m, 2h, 7d.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Output format.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="The --data of a `lambdaagent dev`; default: .lambdaagent, if no LAMBDAAGENT_* variable names a source."
    ),
]

app = typer.Typer(cls=Group, no_args_is_help=True, help="Handle events that could not be delivered.")


@app.command("list")
def list_(
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number; the newest are printed.")] = 100,
    output: Output = Form.TABLE,
    data: Data = None,
) -> None:
    """List dead letters, the newest first."""
    from lambdaagent.cli.dlq import actions

    actions.print_newest(actions.wanted(namespace, agent, type_, older_than, newer_than), limit, output, data)


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")],
    namespace: Namespace = "",
    output: Output = Form.YAML,
    data: Data = None,
) -> None:
    """Print one dead letter with the attributes and data of its event."""
    from lambdaagent.cli.dlq import actions

    actions.show(letter_id, namespace, output, data)


@app.command()
def redrive(
    ids: Ids = None,
    all_: All = False,
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    data: Data = None,
) -> None:
    """Send dead letters to their agents again; each is removed once RabbitMQ or the gateway has confirmed it."""
    from lambdaagent.cli.dlq import actions

    _require_one(ids, all_)
    actions.redrive(actions.chosen(ids, actions.wanted(namespace, agent, type_, older_than, newer_than)), data)


@app.command()
def drop(
    ids: Ids = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    data: Data = None,
) -> None:
    """Delete dead letters permanently."""
    from lambdaagent.cli.dlq import actions

    _require_one(ids, all_)
    actions.drop(
        actions.chosen(ids, actions.wanted(namespace, agent, type_, older_than, newer_than)), data, ask=not yes
    )


def _require_one(ids: list[str] | None, all_: bool) -> None:
    if bool(ids) == all_:
        raise UsageError("name either the IDs of dead letters or --all" + (", not both" if ids else ""))
