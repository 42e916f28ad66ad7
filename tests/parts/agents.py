"""LambdaAgents in the API server with a status that the test writes, and a server in the place of their containers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.parts.http_servers import Handler, Response, ThreadedServer
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually

AGENTS = "/apis/lambda.knative.io/v1alpha1/namespaces/{}/lambdaagents"


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class Container(ThreadedServer):
    """An agent's container, or a Broker's ingress: it keeps each POST in `got` and responds what `answer` returns."""

    def __init__(self, answer: Callable[[Got], Response] = lambda _: (202, {}, b"")) -> None:
        self.got: list[Got] = []
        self.answer = answer
        super().__init__(_Handler)

    @property
    def ids(self) -> list[str]:
        """The ids of the events, in the order in which they came."""
        return [each.id for each in self.got]


class _Handler(Handler):
    server: Container

    def do_POST(self) -> None:
        got = Got(self.path, self.lowered(), self.body())
        self.server.got.append(got)
        self.respond(*self.server.answer(got))


def subscribed(*types: str) -> list[dict[str, str]]:
    """Returns subscriptions to these event types."""
    return [{"eventType": each} for each in types]


@dataclass
class Agents:
    """LambdaAgents in one namespace, without an operator: `make` also writes the status that it would write."""

    server: KubeApiserver
    namespace: str
    made: set[str] = field(default_factory=set)

    def make(
        self, name: str, *, url: str | None, a2a: dict[str, Any] | None = None, broker_url: str = "", **eventing: Any
    ) -> None:
        """Applies an agent; `url` is the address of its container, or None for an agent that is not ready."""
        spec: dict[str, Any] = {"image": {"repository": "r"}}
        if eventing:
            spec["eventing"] = eventing
        if a2a:
            spec["a2a"] = {"enabled": True} | a2a
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.server.rest.apply(self._path(name), document)
        self.made.add(name)
        if url is not None:
            status: dict[str, Any] = {"serviceStatus": {"serviceName": name, "url": url, "ready": True}}
            if eventing:
                status["eventingStatus"] = {"brokerName": "lambdaagents", "brokerReady": True}
                if broker_url:
                    status["eventingStatus"]["brokerUrl"] = broker_url
            self.server.rest.merge(f"{self._path(name)}/status", {"status": status})

    def remove(self, name: str) -> None:
        self.server.rest.delete(self._path(name))
        self.made.discard(name)

    def condition(self, name: str) -> dict[str, Any]:
        """Returns the condition EventingReady, which the dispatcher writes; empty if there is none."""
        found = self.server.rest.get(self._path(name)).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == "EventingReady"), {})

    async def eventing_ready(self, name: str, status: str = "True") -> None:
        """Waits until the condition EventingReady of the agent has this status."""
        await eventually(lambda: self.condition(name).get("status") == status, within=40)

    def _path(self, name: str) -> str:
        return f"{AGENTS.format(self.namespace)}/{name}"
