"""`lambdaagent registry`: agents of all kinds, and the entries of those elsewhere."""

from typing import Annotated

import typer

from lambdaagent.cli.coordination.options import LOCAL, Data, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Find agents, and register those elsewhere.")
Id = Annotated[str, typer.Argument(metavar="ID", help="The agent: NAMESPACE/NAME, or the id of a registered one.")]
Capabilities = Annotated[list[str] | None, typer.Option("--capability", help="What the agent can do; may be repeated.")]
Ttl = Annotated[int | None, typer.Option(min=1, help="Seconds between heartbeats; inactive after three missed ones.")]
_COLUMNS = {"ID": "agent_id", "STATUS": "status", "PROTOCOLS": "protocols", "DESCRIPTION": "description"}
_ENTRY = {
    "ID": "agent_id",
    "STATUS": "status",
    "PROTOCOL": "protocol",
    "OWNER": "owner",
    "LAST HEARTBEAT": "last_heartbeat",
}
_BEAT = {"ID": "agent_id", "STATUS": "status", "UNTIL": "expires_at"}


@app.command("list")
def list_agents(
    capability: Annotated[str, typer.Option(help="Only agents that can do this.")] = "",
    skill: Annotated[str, typer.Option(help="Only agents with this skill.")] = "",
    tag: Annotated[str, typer.Option(help="Only agents with a skill of this tag.")] = "",
    text: Annotated[str, typer.Option("--query", "-q", help="Only agents with this text.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only agents of this namespace.")] = "",
    status: Annotated[str, typer.Option(help="active, inactive, suspended or all.")] = "all",
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """List the agents that you may know of."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway

    gateway = Gateway.of(url, token, token_file)
    asked = {
        "capability": capability, "skill": skill, "tag": tag, "q": text, "namespace": namespace, "status": status,
    }  # fmt: skip
    view = showing.View(_COLUMNS, key="agent_id")
    if watch:
        showing.watched(lambda: gateway.pages("/a2a/discover", asked), view, output)
        return
    showing.many(list(gateway.pages("/a2a/discover", asked)), view, output)


@app.command()
def get(id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Show an agent."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    found = Gateway.of(url, token, token_file).call("GET", f"/a2a/agents/{in_path(id_)}")
    _show(found, _ENTRY if "owner" in found else _COLUMNS, output)


@app.command()
def register(
    id_: Id,
    name: Annotated[str, typer.Option(help="Name of the agent.")] = "",
    endpoint: Annotated[str, typer.Option(help="URL of the agent; without it, it fetches its messages.")] = "",
    protocol: Annotated[str, typer.Option(help="a2a, mcp or http; default: what the endpoint answers.")] = "",
    capability: Capabilities = None,
    description: Annotated[str, typer.Option(help="What the agent does.")] = "",
    ttl: Ttl = None,
    data: Data = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Register an agent, or change its entry by registering it again; --data has further fields."""
    from lambdaagent.cli.coordination import client

    body = client.without_none(
        agent_id=id_, name=name, endpoint_url=endpoint, protocol=protocol, capabilities=capability,
        description=description, ttl_seconds=ttl,
    )  # fmt: skip
    gateway = client.Gateway.of(url, token, token_file)
    _show(gateway.call("POST", "/a2a/register", body=client.data(data) | body), _ENTRY, output)


@app.command()
def heartbeat(
    id_: Id,
    load: Annotated[float | None, typer.Option(min=0, max=1, help="How busy the agent is: 0 to 1.")] = None,
    ttl: Ttl = None,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Say that an agent is alive."""
    from lambdaagent.cli.coordination import client

    body = client.without_none(load=load, ttl_seconds=ttl)
    gateway = client.Gateway.of(url, token, token_file)
    _show(gateway.call("POST", f"/a2a/agents/{client.in_path(id_)}/heartbeat", body=body), _BEAT, output)


@app.command()
def suspend(
    id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """Have an agent neither found nor called, until it is resumed."""
    _change(id_, "suspended", output, url, token, token_file)


@app.command()
def resume(
    id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """End the suspension of an agent."""
    _change(id_, "active", output, url, token, token_file)


@app.command()
def delete(id_: Id, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Delete the entry of a registered agent."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    Gateway.of(url, token, token_file).call("DELETE", f"/a2a/agents/{in_path(id_)}")
    typer.echo(f"{id_} deleted")


def _change(id_: str, status: str, output: Form, url: str, token: str, token_file: str) -> None:
    from lambdaagent.cli.coordination.client import Gateway, in_path

    gateway = Gateway.of(url, token, token_file)
    _show(gateway.call("PATCH", f"/a2a/agents/{in_path(id_)}", body={"status": status}), _ENTRY, output)


def _show(found: dict[str, object], columns: dict[str, str], output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(columns, key="agent_id"), output)
