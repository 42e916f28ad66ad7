"""`lambdaagent events dlq`: lists, shows, redrives and drops events that could not be delivered.

It reads RabbitMQ and the database with the settings of the processes and is no part of the gateway's HTTP API: whoever
may enter the pod may run it (decision 0014). The commands are declared here and implemented in `work`.
"""

from pathlib import Path
from typing import Annotated

import typer

from lambdaagent.cli.dlq.output_format import Form
from lambdaagent.cli.groups import Group
from lambdaagent.errors import UsageError

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="As `list` prints them.")]
All = Annotated[bool, typer.Option("--all", help="All that the filters let through.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Default: every one of the database, LAMBDAAGENT_NAMESPACES's queues.")
]
Agent = Annotated[str, typer.Option(help="NAME, or NAMESPACE/NAME.")]
Type = Annotated[str, typer.Option("--type", help="The event's type.")]
Older = Annotated[str, typer.Option(help="Died before then, as in 30m, 2h, 7d.")]
Newer = Annotated[str, typer.Option(help="Died after then, as in 30m, 2h, 7d.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the output.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="The --data of a `lambdaagent dev`; default: .lambdaagent, where no LAMBDAAGENT_* says otherwise."
    ),
]

app = typer.Typer(cls=Group, no_args_is_help=True, help="Events that could not be delivered.")


@app.command("list")
def list_(
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    output: Output = Form.TABLE,
    data: Data = None,
) -> None:
    """Print dead letters, the newest first."""
    from lambdaagent.cli.dlq import actions

    actions.print_newest(actions.wanted(namespace, agent, type_, older_than, newer_than), limit, output, data)


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")],
    namespace: Namespace = "",
    output: Output = Form.YAML,
    data: Data = None,
) -> None:
    """Print one dead letter whole, with its event's attributes and data."""
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
    """Bring dead letters to their agents again; one goes when RabbitMQ or the gateway has confirmed it."""
    from lambdaagent.cli.dlq import actions

    _require_one(ids, all_)
    actions.redrive(actions.chosen(ids, actions.wanted(namespace, agent, type_, older_than, newer_than)), data)


@app.command()
def drop(
    ids: Ids = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    data: Data = None,
) -> None:
    """Remove dead letters for good."""
    from lambdaagent.cli.dlq import actions

    _require_one(ids, all_)
    actions.drop(
        actions.chosen(ids, actions.wanted(namespace, agent, type_, older_than, newer_than)), data, ask=not yes
    )


def _require_one(ids: list[str] | None, all_: bool) -> None:
    if bool(ids) == all_:
        raise UsageError("say either the IDs of letters or --all" + (", not both" if ids else ""))
