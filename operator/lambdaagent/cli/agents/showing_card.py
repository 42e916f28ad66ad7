"""`lambdaagent card`: the card of an agent."""

from typing import Annotated

import typer

from lambdaagent.cli.agents.options import AgentName, DocumentForm
from lambdaagent.cli.coordination.options import LOCAL, Url
from lambdaagent.cli.gateway_client import Token, TokenFile


def card(
    agent: AgentName,
    extended: Annotated[bool, typer.Option("--extended", help="The card with private skills too.")] = False,
    output: Annotated[DocumentForm, typer.Option("--output", "-o", help="Output format.")] = DocumentForm.JSON,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Print the agent card of A2A 1.0 as the gateway serves it."""
    from lambdaagent.cli.agents import cards, directory
    from lambdaagent.cli.coordination.client import Gateway
    from lambdaagent.cli.printing import print_json, yaml_text

    gateway = Gateway.of(url, token, token_file)
    found = directory.find(gateway, agent)
    document = cards.extended(gateway, found) if extended else cards.public(gateway, found)
    if output is DocumentForm.JSON:
        print_json(document)
    else:
        typer.echo(yaml_text(document), nl=False)
