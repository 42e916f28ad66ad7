"""`lambdaagent proposal`: agents and people propose, vote and read what was decided."""

from typing import Annotated, Any

import typer

from lambdaagent.cli.coordination.options import LOCAL, AsAgent, Data, Output, Seconds, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Propose, vote, and read what was decided.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the proposal.")]
_COLUMNS = {
    "PROPOSAL": "proposal_id", "TITLE": "title", "STATUS": "status", "OUTCOME": "outcome", "DEADLINE": "deadline",
    "VOTES": "votes",
}  # fmt: skip


@app.command()
def create(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is decided.")],
    elector: Annotated[list[str], typer.Option(help="Who votes; may be repeated.")],
    proposer: AsAgent = "",
    description: Annotated[str, typer.Option(help="What the electors have to know.")] = "",
    data: Data = "",
    option: Annotated[
        list[str] | None, typer.Option(help="What they choose from; may be repeated. Default: yes and no.")
    ] = None,
    rule: Annotated[str, typer.Option(help="majority, plurality, unanimous or quorum.")] = "majority",
    quorum: Annotated[int | None, typer.Option(min=1, help="With the rule quorum: how many must vote.")] = None,
    deadline: Seconds = None,
    id_: Annotated[str, typer.Option("--id", help="Id of the proposal; default: a new one.")] = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Open a proposal; each elector gets a message that asks for its vote."""
    from lambdaagent.cli.coordination import client

    body = client.without_none(
        proposal_id=id_, title=title, electorate=elector, description=description, options=option, rule=rule,
        quorum=quorum, deadline_seconds=deadline,
    )  # fmt: skip
    body |= {"from": client.acting(proposer), "data": client.data(data)}
    _show(client.Gateway.of(url, token, token_file).call("POST", "/a2a/proposals", body=body), output)


@app.command("list")
def list_proposals(
    status: Annotated[str, typer.Option(help="open, accepted, rejected or expired; default: all.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List the newest proposals that you opened; an administrator sees all."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json

    gateway, view = Gateway.of(url, token, token_file), showing.View(_COLUMNS, key="proposal_id")

    def look() -> list[Json]:
        found: list[Json] = gateway.call("GET", "/a2a/proposals", params={"status": status})["proposals"]
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
    """Show a proposal and its votes; with --watch until it is decided."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway, path = Gateway.of(url, token, token_file), f"/a2a/proposals/{in_path(id_)}"
    if not watch:
        _show(gateway.call("GET", path), output)
        return
    view = showing.View(_COLUMNS, key="proposal_id")
    showing.watched(lambda: [gateway.call("GET", path)], view, output, ended=lambda found: found["status"] != "open")


@app.command()
def vote(
    id_: Id,
    choice: Annotated[str, typer.Argument(metavar="CHOICE", help="yes, no, abstain, or an option.")],
    voter: AsAgent = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Vote, or change a vote."""
    from lambdaagent.cli.coordination import client

    body = client.without_none(choice=choice, reason=reason) | {"from": client.acting(voter)}
    gateway = client.Gateway.of(url, token, token_file)
    _show(gateway.call("POST", f"/a2a/proposals/{client.in_path(id_)}/votes", body=body), output)


@app.command()
def close(
    id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """Decide a proposal before its deadline, by the votes that are there."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    _show(Gateway.of(url, token, token_file).call("POST", f"/a2a/proposals/{in_path(id_)}/close"), output)


def _show(found: dict[str, Any], output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(_COLUMNS, key="proposal_id"), output)
