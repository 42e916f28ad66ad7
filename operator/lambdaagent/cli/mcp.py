"""`lambdaagent mcp`: a stdio server of the Model Context Protocol, for hosts that cannot call a URL."""

from typing import Annotated

import typer

from lambdaagent.cli.gateway_client import Token, TokenFile


def register(app: typer.Typer) -> None:
    app.command()(mcp)


def mcp(
    url: Annotated[str, typer.Option(help="URL of the gateway, or a complete MCP URL.")] = "http://127.0.0.1:8080",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only the agents of this namespace.")] = "",
    agent: Annotated[str, typer.Option(help="Only this agent, as NAMESPACE/NAME.")] = "",
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Serve a gateway's agents as tools over standard input and output, until the input ends."""
    from lambdaagent.cli import mcp_relay
    from lambdaagent.cli.processes import run_until_signal

    run_until_signal(mcp_relay.run(mcp_relay.endpoint(url, namespace=namespace, agent=agent), token, token_file))
