"""Finds agents in a gateway's catalogue (`GET /agents`) and the path of an agent's A2A endpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from lambdaagent.api import naming
from lambdaagent.cli.coordination.client import Gateway, Json
from lambdaagent.errors import LambdaAgentError, UsageError

_PAGE = 1000
_CANDIDATES = 10  # that an error names


class UnlistedError(LambdaAgentError):
    """The catalogue has no such agent for this caller."""


@dataclass(frozen=True, slots=True)
class Agent:
    namespace: str
    name: str
    path: str
    """The path of its JSON-RPC endpoint, below the gateway's URL."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def card_path(self) -> str:
        return f"/agents/{self.key}/.well-known/agent-card.json"


def entries(gateway: Gateway, **filters: str) -> Iterator[Json]:
    """Yield the agents that the caller may know of, each with `agent` as the name for other commands."""
    token = ""
    while True:
        found = gateway.call("GET", "/agents", params={**filters, "pageSize": _PAGE, "pageToken": token})
        for entry in found["agents"]:
            yield {"agent": f"{entry['namespace']}/{entry['name']}", **entry}
        token = found["nextPageToken"]
        if not token:
            return


def entry(gateway: Gateway, given: str) -> Json:
    """Return an agent of the catalogue. Raises UsageError for an ambiguous name, UnlistedError for an unknown one."""
    namespace, name = split(given)
    found = [each for each in entries(gateway, namespace=namespace, q=name) if each["name"] == name]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(each["agent"] for each in found[:_CANDIDATES])
        raise UsageError(f"{len(found)} agents have the name {name}: {keys}; give NAMESPACE/NAME")
    where = f" in the namespace {namespace}" if namespace else ""
    raise UnlistedError(f"{gateway.url} lists no agent {name}{where}; `lambdaagent agents list` shows the agents")


def find(gateway: Gateway, given: str) -> Agent:
    """Return the agent to call. One that is not listed may be called by its namespace and name all the same."""
    namespace, name = split(given)
    try:
        found = entry(gateway, given)
    except UnlistedError:
        if not namespace:
            raise
        return Agent(namespace, name, f"/agents/{namespace}/{name}/api/a2a")
    return Agent(found["namespace"], found["name"], _below(found))


def split(given: str) -> tuple[str, str]:
    """Return namespace, which may be empty, and name. Raises UsageError."""
    parts = given.split("/")
    if len(parts) > 2 or not naming.is_label(*parts):
        raise UsageError(f"AGENT {given!r}: give NAMESPACE/NAME or NAME, in lower case letters, digits and hyphens")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def _below(found: Json) -> str:
    """Return the path of the endpoint below the gateway's URL: the gateway may name itself by another URL."""
    path = urlsplit(str(found["url"])).path
    start = path.find(f"/agents/{found['agent']}")
    return path[max(start, 0) :]
