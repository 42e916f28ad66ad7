"""The API server as tests of the operator use it: one namespace, and waiting for what appears there."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.parts.agents import AGENTS
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually

# Starts the operator with settings, and returns what stops it.
Start = Callable[..., Awaitable[Callable[[], Awaitable[None]]]]


async def until(check: Callable[[], Any], *, within: float = 60) -> Any:
    """Waits as `eventually` does; the check runs in a thread, because it asks the API server and so blocks."""
    return await eventually(check, within=within, in_thread=True)


class Cluster:
    """The LambdaAgents and their children in one namespace, as the administrator writes and reads them."""

    def __init__(self, server: KubeApiserver, namespace: str) -> None:
        self.server, self.rest, self.namespace = server, server.rest, namespace
        self.agents = AGENTS.format(namespace)

    def apply(self, name: str, spec: dict[str, Any], **metadata: Any) -> Any:
        """Applies a LambdaAgent as a user does, and returns it. It has an image, unless `spec` has None there."""
        whole = {"image": {"repository": "example.com/agent"}} | spec
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": name, **metadata},
            "spec": {name: value for name, value in whole.items() if value is not None},
        }
        return self.rest.apply(f"{self.agents}/{name}", document, manager="user")

    def agent(self, name: str) -> Any:
        return self.rest.find(f"{self.agents}/{name}")

    def status(self, name: str) -> dict[str, Any]:
        """Returns the status, which is empty before anything is reported."""
        return (self.agent(name) or {}).get("status") or {}

    def path(self, group: str, plural: str, name: str = "") -> str:
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def find(self, group: str, plural: str, name: str) -> Any:
        return self.rest.find(self.path(group, plural, name))

    def names(self, group: str, plural: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.rest.get(self.path(group, plural))["items"])

    def condition(self, name: str, kind: str) -> Any:
        status = self.status(name)
        return next((entry for entry in status.get("conditions", []) if entry["type"] == kind), None)

    def because(self, name: str, kind: str, reason: str) -> Any:
        """Returns the condition if it has this reason, else None."""
        found = self.condition(name, kind)
        return found if found and found["reason"] == reason else None

    def has(self, name: str, kind: str, status: str) -> Any:
        """Returns the condition if it has this status for the current generation, else None."""
        condition, agent = self.condition(name, kind), self.agent(name)
        # A condition that another process wrote may have no generation; it says nothing about the current one.
        current = condition and condition.get("observedGeneration") == agent["metadata"]["generation"]
        return condition if current and condition["status"] == status else None
