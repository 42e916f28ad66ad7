"""`lambdaagent context`: JSON that agents share."""

from typing import Annotated, Any

import typer

from lambdaagent.cli.coordination.options import LOCAL, Data, Output, Seconds, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Read and change contexts that agents share.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the context.")]
_COLUMNS = {"CONTEXT": "context_id", "VERSION": "version", "BY": "modified_by", "EXPIRES": "expires_at", "DATA": "data"}
_DELTA = {"VERSION": "version", "AT": "at", "BY": "by", "PATCH": "patch"}


@app.command()
def create(
    id_: Annotated[str, typer.Argument(metavar="[ID]", help="Id of the context; default: a new one.")] = "",
    data: Data = "",
    participant: Annotated[
        list[str] | None, typer.Option(help="Who else reads and changes it; may be repeated.")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=STRATEGY", help="How a key is merged: lastWriter, append, union or max."),
    ] = None,
    ttl: Seconds = None,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Create a context."""
    from lambdaagent.cli.coordination import client
    from lambdaagent.errors import UsageError

    strategies = dict(each.partition("=")[::2] for each in strategy or [])
    if not all(strategies.values()):
        raise UsageError("--strategy must be KEY=STRATEGY, such as findings=append")
    body = client.without_none(context_id=id_, participants=participant, ttl_seconds=ttl)
    body |= {"data": client.data(data), "strategies": strategies}
    _show(client.Gateway.of(url, token, token_file).call("POST", "/a2a/context", body=body), output)


@app.command("list")
def list_contexts(
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List the contexts that you created, those that were changed last first."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json

    gateway, view = Gateway.of(url, token, token_file), showing.View(_COLUMNS, key="context_id")

    def look() -> list[Json]:
        found: list[Json] = gateway.call("GET", "/a2a/context")["contexts"]
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
    """Show a context."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway, path = Gateway.of(url, token, token_file), f"/a2a/context/{in_path(id_)}"
    if watch:
        showing.watched(lambda: [gateway.call("GET", path)], showing.View(_COLUMNS, key="context_id"), output)
        return
    _show(gateway.call("GET", path), output)


@app.command()
def patch(
    id_: Id,
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="A JSON Merge Patch, @FILE or @-; null deletes.")],
    version: Annotated[
        int | None, typer.Option(min=0, help="Refuse the change if there is a newer version; default: merge it.")
    ] = None,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Change a context."""
    from lambdaagent.cli.coordination import client

    body = client.data(change, option="CHANGE")
    expected = [("If-Match", f'"{version}"')] if version is not None else []
    gateway = client.Gateway.of(url, token, token_file)
    _show(gateway.call("PATCH", f"/a2a/context/{client.in_path(id_)}", body=body, headers=expected), output)


@app.command()
def deltas(
    id_: Id,
    since: Annotated[int, typer.Option(min=0, help="Only changes after this version.")] = 0,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List the changes of a context as JSON Patches."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json, in_path

    gateway, view = Gateway.of(url, token, token_file), showing.View(_DELTA, key="version")
    last = since

    def look() -> list[Json]:
        nonlocal last
        found: list[Json] = gateway.call("GET", f"/a2a/context/{in_path(id_)}/deltas", params={"since": last})["deltas"]
        last = max([last, *(each["version"] for each in found)])
        return found

    showing.listed(look, view, output, watch=watch)


@app.command()
def delete(id_: Id, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Delete a context."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    Gateway.of(url, token, token_file).call("DELETE", f"/a2a/context/{in_path(id_)}")
    typer.echo(f"{id_} deleted")


def _show(found: dict[str, Any], output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(_COLUMNS, key="context_id"), output)
