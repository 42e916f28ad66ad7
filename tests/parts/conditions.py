"""An agent, reports of its children, and the status that follows."""

from datetime import UTC, datetime
from typing import Any

from lambdaagent.api import agent as agents
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import Plan, plan
from lambdaagent.settings import Installation
from lambdaagent.status import decide
from lambdaagent.status.conditions import ChildKey, World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSTALLATION = Installation()
KSVC: ChildKey = ("serving.knative.dev/v1", "Service", "a")
DEPLOYED: dict[ChildKey, Any] = {
    ("apps/v1", "Deployment", "a"): {
        "kind": "Deployment",
        "metadata": {"name": "a", "generation": 1},
        "status": {"observedGeneration": 1, "updatedReplicas": 1}
        | {"conditions": [{"type": "Available", "status": "True"}]},
    }
}
BROKER: ChildKey = ("eventing.knative.dev/v1", "Broker", "lambdaagents")


def make(spec: dict[str, Any], **backends: Any) -> tuple[agents.LambdaAgent, Plan]:
    """Returns an agent with this spec, and the plan of its children on these backends."""
    agent = agents.parse(
        {
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 3},
            "spec": {"image": {"repository": "r"}} | spec,
        }
    )
    return agent, plan(agent, installation=INSTALLATION, backends=Backends(**backends), observed=Observed())


def ready(kind: str = "True", *, generation: int = 1, observed: int = 1, **more: Any) -> dict[str, Any]:
    """Returns a child whose condition Ready has this status."""
    condition = {"type": "Ready", "status": kind, **more}
    return {
        "metadata": {"name": "x", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": [condition]},
    }


def said(
    made: Plan,
    agent: agents.LambdaAgent,
    live: dict[ChildKey, Any],
    previous: Any = None,
    *,
    spoke: bool = False,
    **world: Any,
) -> dict[str, Any]:
    """Returns the status of an agent whose children are as in `live`; `previous` is its last status."""
    named = {
        key: {"apiVersion": key[0], "kind": key[1], **obj, "metadata": obj["metadata"] | {"name": key[2]}}
        for key, obj in live.items()
    }
    return decide.status(
        agent,
        previous=previous or {},
        plan=made,
        world=World(named, **world),
        installation=INSTALLATION,
        now=NOW,
        dispatcher_spoke=spoke,
    )


def condition(status: dict[str, Any], kind: str) -> Any:
    """Returns the condition of this type, or None."""
    return next((entry for entry in status["conditions"] if entry["type"] == kind), None)
