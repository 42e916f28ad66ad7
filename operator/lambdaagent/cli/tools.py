"""`lambdaagent tools`: shows the tools of agents, from their status in a cluster or by asking their MCP servers."""

from enum import StrEnum
from typing import Annotated

import typer


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME...|PATH...]", help="Agents; with --ask, files and directories. Default: all agents."),
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Namespace; default: the kubeconfig's, with --ask default.")
]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Agents of all namespaces.")]
Ask = Annotated[
    bool,
    typer.Option(
        "--ask",
        help="Ask the MCP servers of the agents in files, from this machine and without a cluster; exit with code 1 if "
        "one does not answer or lacks tools.",
    ),
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Output format.")]


def register(app: typer.Typer) -> None:
    app.command()(tools)


def tools(
    names: Names = None,
    namespace: Namespace = "",
    all_namespaces: Everywhere = False,
    ask: Ask = False,
    output: Output = Form.TABLE,
) -> None:
    """Print which tools agents have, and which of those that they name are missing."""
    import asyncio

    from lambdaagent.cli import agent_tools
    from lambdaagent.errors import UsageError

    if ask and not names:
        raise UsageError("name the files whose agents' servers are asked, or - for standard input")
    if ask and all_namespaces:
        raise UsageError("--all-namespaces is for agents of a cluster, and --ask for those in files")
    if namespace and all_namespaces:
        raise UsageError("give either --namespace or --all-namespaces")
    if ask:
        found = asyncio.run(agent_tools.asked(names or [], namespace or "default"))
    else:
        found = asyncio.run(agent_tools.reported(names or [], namespace, everywhere=all_namespaces))
    agent_tools.show(found, output)
    if ask and not all(server.get("ready") and not server.get("missing") for each in found for server in each.servers):
        raise typer.Exit(1)
