"""What a test says and asks of the API server, in one namespace."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import holds

AGENTS = "/apis/lambda.knative.io/v1alpha1/namespaces/{}/lambdaagents"


async def eventually(check: Callable[[], Any], *, within: float = 60) -> Any:
    """The first true answer of `check`, asked again until the deadline; its last answer is the failure's message."""
    deadline = time.monotonic() + within
    while True:
        answer = await asyncio.to_thread(holds, check)
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within} s: {check} answered {answer!r}"
        await asyncio.sleep(0.05)


class Cluster:
    """What a test says and asks of the API server, in one namespace."""

    def __init__(self, server: KubeApiserver, namespace: str) -> None:
        self.server, self.rest, self.namespace = server, server.rest, namespace
        self.agents = AGENTS.format(namespace)

    def apply(self, name: str, spec: dict[str, Any], **metadata: Any) -> Any:
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": name, **metadata},
            "spec": {"image": {"repository": "example.com/agent"}} | spec,
        }
        return self.rest.apply(f"{self.agents}/{name}", document, manager="user")

    def agent(self, name: str) -> Any:
        return self.rest.find(f"{self.agents}/{name}")

    def status(self, name: str) -> dict[str, Any]:
        """Empty before anything was reported."""
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

    def has(self, name: str, kind: str, status: str) -> Any:
        """The condition, if it has this status for the present generation."""
        condition, agent = self.condition(name, kind), self.agent(name)
        # A condition that another wrote may say no generation: nothing is known of the present one then.
        current = condition and condition.get("observedGeneration") == agent["metadata"]["generation"]
        return condition if current and condition["status"] == status else None
