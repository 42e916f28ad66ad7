"""`lambdaagent tasks`: your tasks at an agent."""

from typing import Annotated

import typer

from lambdaagent.cli.agents.options import AgentName
from lambdaagent.cli.coordination.options import LOCAL, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="See and cancel your tasks at an agent.")
TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.")]


@app.command("list")
def list_tasks(
    agent: AgentName,
    status: Annotated[
        str, typer.Option(help="submitted, working, input-required, completed, failed, canceled, ...; default: all.")
    ] = "",
    context: Annotated[str, typer.Option(help="Only tasks of this conversation.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The most that are listed, those that changed last first.")] = 100,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List your tasks at an agent."""
    from lambdaagent.cli.agents import task_views
    from lambdaagent.cli.coordination import showing

    client = task_views.client(agent, url, token, token_file)
    showing.listed(
        lambda: task_views.listed(client, status=status, context=context, limit=limit, form=output),
        task_views.VIEW,
        output,
        watch=watch,
    )


@app.command()
def get(
    agent: AgentName,
    task: TaskId,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Show a task; as JSON or YAML with its messages and artifacts."""
    from lambdaagent.cli.agents import task_views

    client = task_views.client(agent, url, token, token_file)
    task_views.show(client.call("GetTask", {"id": task}), output)


@app.command()
def watch(
    agent: AgentName,
    task: TaskId,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Follow a task until it ends; exit with code 1 unless it completes. As JSON or YAML, print each event."""
    from lambdaagent.cli.agents import task_views

    if code := task_views.watch(task_views.client(agent, url, token, token_file), task, output):
        raise typer.Exit(code)


@app.command()
def cancel(
    agent: AgentName,
    task: TaskId,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Cancel a task that has not ended."""
    from lambdaagent.cli.agents import task_views

    client = task_views.client(agent, url, token, token_file)
    task_views.show(client.call("CancelTask", {"id": task}), output)
