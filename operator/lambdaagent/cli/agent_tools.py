"""Implements `tools`: reads what the operator found from agents' status, or asks the servers from this machine.

In files, the value of a secret header comes from a Secret among the documents, or from the environment variable that
the container would get.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import environment
from lambdaagent.cli.printing import print_json, print_names, print_table, say, yaml_text
from lambdaagent.cli.processes import read_settings
from lambdaagent.cli.tools import Form
from lambdaagent.dev.environment import Sources, sources
from lambdaagent.errors import UsageError
from lambdaagent.kube import manifests
from lambdaagent.settings import TrustSettings
from lambdaagent.status.tools import ServerAnswer, ToolServer, shown, tool_server
from lambdaagent.toolservers.listing import ListError, listing
from lambdaagent.trust import Trust
from lambdaagent.webhooks import address_check

_AT_ONCE = 8
_DOMAIN = "cluster.local"
_COLUMNS = ("NAMESPACE", "AGENT", "SERVER", "READY", "TOOL", "DESCRIPTION")
_DESCRIPTION = 60  # characters in the table


@dataclass(frozen=True, slots=True)
class AgentTools:
    namespace: str
    name: str
    servers: list[dict[str, Any]]  # as in `status.tools`

    def document(self) -> dict[str, Any]:
        return {"namespace": self.namespace, "name": self.name, "servers": self.servers}


async def reported(names: Sequence[str], namespace: str, *, everywhere: bool) -> list[AgentTools]:
    """Return what status says. Raises UsageError for an agent that is not there, and the errors of the API server."""
    from lambdaagent.kube import client, objects
    from lambdaagent.kube.resources import LAMBDA_AGENT

    async with client.connect() as api:
        where = None if everywhere else namespace or api.namespace
        listed = await objects.list_objects(api, LAMBDA_AGENT, namespace=where)
    found = [_of_status(obj) for obj in listed.items]
    if missing := sorted(set(names) - {each.name for each in found}):
        raise UsageError(f"there is no LambdaAgent {missing[0]}{f' in the namespace {where}' if where else ''}")
    wanted = [each for each in found if each.name in names] if names else [each for each in found if each.servers]
    return sorted(wanted, key=lambda each: (each.namespace, each.name))


def _of_status(obj: dict[str, Any]) -> AgentTools:
    metadata = obj["metadata"]
    return AgentTools(metadata["namespace"], metadata["name"], (obj.get("status") or {}).get("tools") or [])


async def asked(paths: Sequence[str], namespace: str) -> list[AgentTools]:
    """Return what the servers of the agents in the files answer. Raises UsageError."""
    files = manifests.load(paths, namespace=namespace, strict=False)
    for finding in files.errors:
        say(f"error: {finding}")
    if files.errors:
        raise typer.Exit(1)
    known = sources((document.obj for document in files.others), namespace=namespace)
    trust, slots = read_settings(TrustSettings).trust, asyncio.Semaphore(_AT_ONCE)
    found = []
    for agent in files.agents:
        servers = _servers(agent)
        given = await asyncio.gather(*(_answer(each, place, known, trust, slots) for each, place in servers.items()))
        answers = dict(zip(servers, given, strict=True))
        entries = shown(agent, answers, domain=_DOMAIN, previous=(), now=datetime.now(UTC))
        found.append(AgentTools(agent.namespace, agent.name, entries))
    return found


def _servers(agent: LambdaAgent) -> dict[ToolServer, tuple[str, int]]:
    """Return the servers with the agent's namespace and the place of each in the spec."""
    found: dict[ToolServer, tuple[str, int]] = {}
    for place, tool in enumerate(agent.spec.tools):
        with contextlib.suppress(ValueError):
            server = tool_server(tool.mcp_server, namespace=agent.namespace, domain=_DOMAIN)
            found.setdefault(server, (agent.namespace, place))
    return found


async def _answer(
    server: ToolServer, place: tuple[str, int], known: Sources, trust: Trust, slots: asyncio.Semaphore
) -> ServerAnswer:
    namespace, number = place
    headers: list[tuple[str, str]] = []
    for at, (header, secret, key) in enumerate(server.headers):
        variable = environment.header_variable(number, at)
        value = known.get(("Secret", namespace, secret), {}).get(key) or os.environ.get(variable)
        if value is None:
            problem = f"there is no Secret {secret} with the key {key} in the files, and no variable {variable}"
            return ServerAnswer(not_asked=problem)
        headers.append((header, value.rstrip("\r\n")))
    try:
        async with slots:
            found = await listing(
                server.url, headers, seconds=server.seconds, check=lambda _: address_check.not_metadata, trust=trust
            )
    except ListError as error:
        return ServerAnswer(problem=str(error))
    return ServerAnswer(found.version, tuple(sorted((tool.name, tool.description) for tool in found.tools)))


def show(found: Sequence[AgentTools], form: Form) -> None:
    if form is Form.JSON:
        print_json({"items": [each.document() for each in found]})
    elif form is Form.YAML:
        typer.echo(yaml_text({"items": [each.document() for each in found]}), nl=False)
    elif form is Form.NAME:
        print_names(f"{each.namespace}/{each.name}" for each in found)
    elif not any(each.servers for each in found):
        say("no tools")
    else:
        print_table(_COLUMNS, [row for each in found for server in each.servers for row in _rows(each, server)])


def _rows(agent: AgentTools, server: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    beginning = (agent.namespace, agent.name, server["name"], "yes" if server.get("ready") else "no")
    rows = [(tool["name"], tool.get("description", "")[:_DESCRIPTION]) for tool in server.get("tools", [])]
    rows += [(name, "MISSING: the server does not offer it") for name in server.get("missing", [])]
    if server.get("error"):
        rows.insert(0, ("-", server["error"]))
    hidden = (server.get("toolCount") or 0) - len(server.get("tools", []))
    yield from ((*beginning, *row) for row in rows or [("-", "" if hidden else "the server offers no tools")])
