"""`lambdaagent agents`: the agents of a gateway."""

from typing import Annotated, Any

import typer

from lambdaagent.cli.agents.options import AgentName
from lambdaagent.cli.coordination.options import LOCAL, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Find agents that can be called.")
_COLUMNS = {"AGENT": "agent", "READY": "ready", "SKILLS": "skills", "DESCRIPTION": "description", "URL": "url"}


@app.command("list")
def list_agents(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only agents of this namespace.")] = "",
    skill: Annotated[str, typer.Option(help="Only agents with the skill of this id.")] = "",
    tag: Annotated[str, typer.Option(help="Only agents with a skill that has this tag.")] = "",
    search: Annotated[str, typer.Option(help="Only agents whose names or descriptions have this text.")] = "",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List the agents that you may know of."""
    from lambdaagent.cli.agents import directory
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json

    gateway, view = Gateway.of(url, token, token_file), showing.View(_COLUMNS, key="agent")

    def look() -> list[Json]:
        found = directory.entries(gateway, namespace=namespace, skill=skill, tag=tag, q=search)
        return [_row(each, output) for each in found]

    showing.listed(look, view, output, watch=watch)


@app.command()
def get(
    agent: AgentName,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Show an agent as the catalogue has it."""
    from lambdaagent.cli.agents import directory
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway

    gateway, view = Gateway.of(url, token, token_file), showing.View(_COLUMNS, key="agent")
    if watch:
        showing.watched(lambda: [_row(directory.entry(gateway, agent), output)], view, output)
    else:
        showing.one(_row(directory.entry(gateway, agent), output), view, output)


@app.command()
def describe(agent: AgentName, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Print what an agent is and can do, and how it is called."""
    from lambdaagent.cli.agents import cards, describing, directory
    from lambdaagent.cli.coordination.client import Gateway

    gateway = Gateway.of(url, token, token_file)
    found = directory.entry(gateway, agent)
    named = directory.find(gateway, found["agent"])
    typer.echo(describing.text(found, cards.public(gateway, named), cards.schemas(gateway, named)), nl=False)


def _row(entry: dict[str, Any], output: Form) -> dict[str, Any]:
    """Return what is shown of an agent; the table has only the ids of its skills."""
    if output is not Form.TABLE:
        return entry
    return entry | {"skills": [skill["id"] for skill in entry["skills"]]}
