"""`lambdaagent job`: tasks that are defined, and their runs at agents."""

from typing import Annotated, Any

import typer

from lambdaagent.cli.coordination.options import LOCAL, Data, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Have tasks done by agents that can do them.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="Id of the task.")]
Type = Annotated[str, typer.Option("--type", help="Type of the task: the id or a tag of a skill.")]
Agent = Annotated[str, typer.Option(help="The only agent that may do it.")]
Strategy = Annotated[str, typer.Option(help="Which agent gets it: auto, round-robin or by-capacity.")]
Priority = Annotated[int | None, typer.Option(min=1, max=10, help="10 is first; default: 5.")]
Retries = Annotated[int | None, typer.Option(min=0, help="How often it is tried again.")]
Timeout = Annotated[int | None, typer.Option(min=1, help="Seconds of one attempt.")]
_COLUMNS = {
    "JOB": "job_id", "TYPE": "task_type", "STATUS": "status", "AGENT": "assigned_agent_id", "RETRIES": "retry_count",
    "OUTPUT": "output_data", "ERROR": "error_message",
}  # fmt: skip
_TASK = {"TASK": "task_id", "NAME": "name", "TYPE": "task_type", "STRATEGY": "strategy", "AGENT": "agent_id"}
_ENDED = ("completed", "failed", "cancelled")


@app.command()
def create(
    type_: Type = "",
    task: Annotated[str, typer.Option(help="A task that you defined, in place of --type.")] = "",
    data: Data = "",
    agent: Agent = "",
    strategy: Strategy = "",
    priority: Priority = None,
    retries: Retries = None,
    timeout: Timeout = None,
    id_: Annotated[str, typer.Option("--id", help="Id of the job: sent again, it is the same one.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Create a job; with --watch, exit with code 1 unless it completes."""
    from lambdaagent.cli.coordination import client
    from lambdaagent.errors import UsageError

    if bool(type_) == bool(task):
        raise UsageError("give either --type or --task; `lambdaagent registry list` shows what agents can do")
    body = client.without_none(
        job_id=id_, task_type=type_, task_id=task, agent_id=agent, strategy=strategy, priority=priority,
        max_retries=retries, timeout_seconds=timeout,
    )  # fmt: skip
    gateway = client.Gateway.of(url, token, token_file)
    found = gateway.call("POST", "/a2a/jobs", body=body | {"input_data": client.data(data)})
    if watch:
        _watch(gateway, found["job_id"], output)
    else:
        _show(found, _COLUMNS, output)


@app.command("list")
def list_jobs(
    status: Annotated[
        str, typer.Option(help="pending, assigned, running, completed, failed or cancelled; default: all.")
    ] = "",
    task: Annotated[str, typer.Option(help="Only jobs of this task.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List your newest jobs; an administrator sees everybody's."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json

    gateway, view = Gateway.of(url, token, token_file), showing.View(_COLUMNS, key="job_id")

    def look() -> list[Json]:
        found: list[Json] = gateway.call("GET", "/a2a/jobs", params={"status": status, "task_id": task})["jobs"]
        return found

    showing.listed(look, view, output, watch=watch)


@app.command()
def get(
    id_: Id,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Show a job; with --watch until it ends, and exit with code 1 unless it completes."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway = Gateway.of(url, token, token_file)
    if watch:
        _watch(gateway, id_, output)
    else:
        _show(gateway.call("GET", f"/a2a/jobs/{in_path(id_)}"), _COLUMNS, output)


@app.command()
def cancel(
    id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """Cancel a job that has not ended."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway = Gateway.of(url, token, token_file)
    _show(gateway.call("POST", f"/a2a/jobs/{in_path(id_)}/cancel"), _COLUMNS, output)


@app.command()
def define(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the task.")],
    type_: Type,
    id_: Annotated[str, typer.Option("--id", help="Id of the task; default: a new one.")] = "",
    agent: Agent = "",
    strategy: Strategy = "",
    priority: Priority = None,
    retries: Retries = None,
    timeout: Timeout = None,
    data: Data = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Define a task; --data has further fields, such as input_schema."""
    from lambdaagent.cli.coordination import client

    body = client.without_none(
        task_id=id_, name=name, task_type=type_, agent_id=agent, strategy=strategy, priority=priority,
        max_retries=retries, timeout_seconds=timeout,
    )  # fmt: skip
    gateway = client.Gateway.of(url, token, token_file)
    _show(gateway.call("POST", "/a2a/tasks", body=client.data(data) | body), _TASK, output)


@app.command()
def tasks(output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """List the tasks that you defined."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway

    found = Gateway.of(url, token, token_file).call("GET", "/a2a/tasks")
    showing.many(found["tasks"], showing.View(_TASK, key="task_id"), output)


@app.command()
def undefine(id_: TaskId, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Delete a defined task; its jobs stay."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    Gateway.of(url, token, token_file).call("DELETE", f"/a2a/tasks/{in_path(id_)}")
    typer.echo(f"{id_} deleted")


def _watch(gateway: Any, id_: str, output: Form) -> None:
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import in_path

    path = f"/a2a/jobs/{in_path(id_)}"
    view = showing.View(_COLUMNS, key="job_id")
    showing.followed(lambda: gateway.call("GET", path), view, output, ended=_ENDED, good="completed")


def _show(found: dict[str, Any], columns: dict[str, str], output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(columns, key="job_id"), output)
