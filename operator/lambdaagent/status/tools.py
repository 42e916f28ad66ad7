"""Decides what status says about an agent's tool servers, from their last answers. Pure.

The condition informs and does not affect Ready: a server is not a child, and an agent may work without it for a while.
What the servers' authors write is limited, and the time of an entry changes only with its content, so that a status is
written only if something else is to be read in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.tools import DEFAULT_SECONDS, MOST_MISSING_SHOWN, MOST_TOOLS_SHOWN, McpServer
from lambdaagent.children.base import Object
from lambdaagent.clock import rfc3339
from lambdaagent.status.ai import shown as without_password
from lambdaagent.status.readiness import Readiness, condition

LONGEST_SECONDS = 30.0
_MOST_CHARACTERS = 96 * 1024  # of all tools of an agent: every watcher receives the object
_LISTED = 5
_ERROR = 512


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server as the operator asks it. Agents that name the same one in the same way share its answer."""

    url: str
    seconds: float
    namespace: str = ""  # of the Secrets; empty without any
    headers: tuple[tuple[str, str, str], ...] = ()  # name, Secret, key


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """`problem` is why the tools could not be listed, `not_asked` why the server was not even asked."""

    version: str = ""
    tools: tuple[tuple[str, str], ...] = ()  # name, description
    problem: str = ""
    not_asked: str = ""


Answers = Mapping[ToolServer, ServerAnswer]


def tool_server(server: McpServer, *, namespace: str, domain: str) -> ToolServer:
    """Return the server as the operator reaches it.

    A host without a dot is a Service in the agent's namespace, where the container looks for it.
    """
    parts = urlsplit(server.endpoint)
    host, url = parts.hostname or "", server.endpoint
    if host and "." not in host and ":" not in host and host != "localhost":
        user, at, rest = parts.netloc.rpartition("@")
        place = f"{host}.{namespace}.svc.{domain}{rest[len(host) :]}"
        url = urlunsplit(parts._replace(netloc=f"{user}{at}{place}"))
    headers = tuple((each.name, each.secret_key_ref.name, each.secret_key_ref.key) for each in server.headers_from)
    seconds = min(max(float(server.timeout_seconds or 0), DEFAULT_SECONDS), LONGEST_SECONDS)
    return ToolServer(url, seconds, namespace if headers else "", headers)


def tool_servers(agent: LambdaAgent, *, domain: str) -> list[tuple[McpServer, ToolServer]]:
    """Return each server of the agent with what the operator asks; one with an unreadable endpoint is left out."""
    found = []
    for tool in agent.spec.tools:
        try:
            found.append((tool.mcp_server, tool_server(tool.mcp_server, namespace=agent.namespace, domain=domain)))
        except ValueError:  # a URL such as http://[ matches the pattern of the API
            continue
    return found


def tools_resolved(agent: LambdaAgent, answers: Answers, *, domain: str, previous: Object) -> Readiness | None:
    """Return the condition ToolsResolved; None if the agent has no tools.

    Before all servers have answered, the former condition stays: the operator begins anew whenever it starts.
    """
    if not agent.spec.tools:
        return None
    servers = tool_servers(agent, domain=domain)
    if len(servers) < len(agent.spec.tools):
        return Readiness("False", "BadEndpoint", "an endpoint in spec.tools is no URL that can be called; correct it")
    if any(asked not in answers for _, asked in servers):
        before = condition(previous, "ToolsResolved")
        if before is not None and before.get("observedGeneration") == agent.metadata.generation:
            return Readiness(before["status"], before.get("reason", ""), before.get("message", ""))
        return Readiness("Unknown", "NotAsked", "the servers in spec.tools have not been asked for their tools yet")
    broken, missing, unknown = [], [], []
    for server, asked in servers:
        answer = answers[asked]
        title = f"{server.name} ({without_password(server.endpoint)})"
        if answer.not_asked:
            unknown.append(f"{title}: {answer.not_asked}")
        elif answer.problem:
            hint = "check the server, and the endpoint and headersFrom of mcpServer"
            broken.append(f"{title}: {answer.problem}; {hint}")
        elif names := _missing(server, answer):
            missing.append(f"{title} lacks {_listed(names)}; correct toolNames, or add the tools to the server")
    if broken:
        return Readiness("False", "ServerUnreachable", _joined([*broken, *missing, *unknown]))
    if missing:
        return Readiness("False", "ToolsMissing", _joined([*missing, *unknown]))
    if unknown:
        return Readiness("Unknown", "SecretNotReadable", _joined(unknown))
    count = sum(len(_usable(server, answers[asked])) for server, asked in servers)
    return Readiness("True", "Resolved", f"{_number(count, 'tool')} of {_number(len(servers), 'server')}")


def shown(
    agent: LambdaAgent, answers: Answers, *, domain: str, previous: Sequence[Object], now: datetime
) -> list[Object]:
    """Return `status.tools`. `previous` is the present one: a server that cannot be asked keeps its known tools."""
    left = _MOST_CHARACTERS
    found: list[Object] = []
    before = {(each.get("name"), each.get("endpoint")): each for each in previous}
    for server, asked in tool_servers(agent, domain=domain):
        base = {"name": server.name, "endpoint": without_password(server.endpoint)}
        former = before.get((base["name"], base["endpoint"]))
        answer = answers.get(asked)
        if answer is None:
            found.append(former or {**base, "ready": False})
            continue
        entry = _failed(base, answer, former) if answer.problem or answer.not_asked else _entry(base, server, answer)
        if tools := entry.get("tools"):
            entry["tools"] = list(_within(tools, left))
            left -= sum(map(_size, entry["tools"]))
        same = former is not None and {key: value for key, value in former.items() if key != "lastSync"} == entry
        found.append({**entry, "lastSync": former["lastSync"] if same and former else rfc3339(now)})
    return found


def _entry(base: Object, server: McpServer, answer: ServerAnswer) -> Object:
    entry = {**base, "protocolVersion": answer.version, "ready": True, "toolCount": len(answer.tools)}
    if tools := _usable(server, answer):
        entry["tools"] = [{"name": name} | ({"description": said} if said else {}) for name, said in tools]
    if missing := _missing(server, answer):
        entry["missing"] = missing[:MOST_MISSING_SHOWN]
    return entry


def _failed(base: Object, answer: ServerAnswer, former: Object | None) -> Object:
    known: Object = {key: former[key] for key in ("protocolVersion", "toolCount", "tools") if former and key in former}
    return {**base, **known, "ready": False, "error": (answer.problem or answer.not_asked)[:_ERROR]}


def _usable(server: McpServer, answer: ServerAnswer) -> list[tuple[str, str]]:
    """Return the tools that the agent may use, in the order of their names."""
    wanted = frozenset(server.tool_names)
    return sorted(tool for tool in answer.tools if not wanted or tool[0] in wanted)


def _missing(server: McpServer, answer: ServerAnswer) -> list[str]:
    offered = frozenset(name for name, _ in answer.tools)
    return sorted(frozenset(server.tool_names) - offered)


def _within(tools: Sequence[Object], left: int) -> Iterator[Object]:
    for tool in tools[:MOST_TOOLS_SHOWN]:
        left -= _size(tool)
        if left < 0:
            return
        yield tool


def _size(tool: Object) -> int:
    return len(tool["name"]) + len(tool.get("description", "")) + 40  # with its keys


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _joined(messages: Sequence[str]) -> str:
    more = len(messages) - _LISTED
    return "; ".join(messages[:_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
