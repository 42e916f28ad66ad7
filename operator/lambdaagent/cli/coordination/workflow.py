"""`lambdaagent workflow`: workflows and their runs."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lambdaagent.cli.coordination.options import LOCAL, Data, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Call agents in the order that a document says.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the workflow.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
_WORKFLOW = {"WORKFLOW": "name", "VERSION": "version", "AGENT": "agent_id", "BY": "created_by", "TITLE": "title"}
_RUN = {
    "RUN": "run_id", "WORKFLOW": "workflow", "STATUS": "status", "STEPS": "steps", "OUTPUT": "output", "ERROR": "error",
}  # fmt: skip
_ENDED = ("completed", "faulted", "cancelled")
_BYTES = 1024 * 1024  # the gateway takes less, and says how much


@app.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The document in YAML or JSON; - is standard input.")],
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Create a workflow, or its next version; a document that is refused is shown line by line."""
    from lambdaagent.cli.coordination.client import Gateway, RefusedError

    document, gateway = _document(file), Gateway.of(url, token, token_file)
    try:
        found = gateway.call("POST", "/a2a/workflows", document=document)
    except RefusedError as error:
        for fault in error.faults:
            typer.echo(f"{file}:{fault.get('line')}: {fault.get('pointer')}: {fault.get('detail')}", err=True)
        raise
    _show(found, _WORKFLOW, "name", output)


@app.command("list")
def list_workflows(
    output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """List the workflows that you may run."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway

    found = Gateway.of(url, token, token_file).call("GET", "/a2a/workflows")
    showing.many(found["workflows"], showing.View(_WORKFLOW, key="name"), output)


@app.command()
def get(
    name: Name, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """Show a workflow; as JSON or YAML with its document."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    found = Gateway.of(url, token, token_file).call("GET", f"/a2a/workflows/{in_path(name)}")
    _show(found, _WORKFLOW, "name", output)


@app.command()
def delete(name: Name, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Delete a workflow; its runs go on."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    Gateway.of(url, token, token_file).call("DELETE", f"/a2a/workflows/{in_path(name)}")
    typer.echo(f"{name} deleted")


@app.command("run")
def start(
    name: Name,
    data: Data = "",
    id_: Annotated[str, typer.Option("--id", help="Id of the run: sent again, it is the same one.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Start a run with --data as its input; with --watch, exit with code 1 unless it completes."""
    from lambdaagent.cli.coordination import client

    gateway = client.Gateway.of(url, token, token_file)
    body = client.without_none(run_id=id_) | {"input": client.data(data)}
    found = gateway.call("POST", f"/a2a/workflows/{client.in_path(name)}/runs", body=body)
    if watch:
        _watch(gateway, found["run_id"], output)
    else:
        _show(found, _RUN, "run_id", output)


@app.command()
def runs(
    name: Name,
    status: Annotated[str, typer.Option(help="pending, running, completed, faulted or cancelled; default: all.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List your newest runs of a workflow; an administrator sees everybody's."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json, in_path

    gateway, view = Gateway.of(url, token, token_file), showing.View(_RUN, key="run_id")
    path = f"/a2a/workflows/{in_path(name)}/runs"

    def look() -> list[Json]:
        found: list[Json] = gateway.call("GET", path, params={"status": status})["runs"]
        return found

    showing.listed(look, view, output, watch=watch)


@app.command()
def status(
    run: RunId,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Show a run; with --watch until it ends, and exit with code 1 unless it completes."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway = Gateway.of(url, token, token_file)
    if watch:
        _watch(gateway, run, output)
    else:
        _show(gateway.call("GET", f"/a2a/runs/{in_path(run)}"), _RUN, "run_id", output)


@app.command()
def cancel(
    run: RunId, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """Cancel a run that has not ended."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway = Gateway.of(url, token, token_file)
    _show(gateway.call("DELETE", f"/a2a/runs/{in_path(run)}"), _RUN, "run_id", output)


def _document(file: Path) -> bytes:
    """Raises UsageError."""
    from lambdaagent.errors import UsageError

    if str(file) == "-":
        return sys.stdin.buffer.read(_BYTES)
    try:
        with file.open("rb") as opened:
            return opened.read(_BYTES)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error}") from None


def _watch(gateway: Any, run: str, output: Form) -> None:
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import in_path

    path = f"/a2a/runs/{in_path(run)}"
    view = showing.View(_RUN, key="run_id")
    showing.followed(lambda: gateway.call("GET", path), view, output, ended=_ENDED, good="completed")


def _show(found: dict[str, Any], columns: dict[str, str], key: str, output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(columns, key=key), output)
