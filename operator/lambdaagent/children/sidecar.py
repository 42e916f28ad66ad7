"""The gateway in the agent's own pod (`a2a.mode: sidecar`): it has the pod's port and calls the agent on loopback.

It is configured by environment variables alone and sends no requests to the API server, because it runs under the
agent's ServiceAccount. Knative allows one container with a port and probes on no other, so there the gateway's
readiness requests the agent's health path.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import orjson
from pydantic.main import IncEx

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.workload import HealthCheck, Probe
from lambdaagent.children import environment
from lambdaagent.children.base import Object
from lambdaagent.children.container import container, readiness_timing
from lambdaagent.events import capability
from lambdaagent.settings import Installation

CONTAINER = "gateway"
READY, ALIVE = "/-/readyz", "/-/healthz"
DELIVER = "/-/deliver"
_PORTS = (8090, 8091)  # ports that Knative does not reserve
_PROBES = ("readinessProbe", "livenessProbe")
_SPEC: Mapping[str, IncEx | bool] = {
    "image": {"repository": True, "tag": True, "digest": True, "port": True},
    "a2a": True,
    "behavior": {"health_check"},
    "serving": {"timeout_seconds"},
}


def wanted(agent: LambdaAgent, installation: Installation) -> bool:
    """Whether the pod gets a sidecar: it is asked for and has an image. Status reports a missing image."""
    return asked(agent) and bool(installation.gateway_image)


def asked(agent: LambdaAgent) -> bool:
    a2a = agent.spec.a2a
    return bool(a2a and a2a.enabled and a2a.mode == "sidecar")


def port(agent: LambdaAgent) -> int:
    """Return a port that differs from the agent's, because both listen in one pod."""
    return next(number for number in _PORTS if number != agent.spec.container_image.port)


def containers(agent: LambdaAgent, installation: Installation, *, sink: str | None, probes: bool) -> list[Object]:
    """Return the agent's container and the gateway. `probes`: whether a container without a port may have probes."""
    # Events pass the gateway in the pod first, because it keeps the agent's tasks.
    local = f"http://127.0.0.1:{port(agent)}{sink_path(sink)}" if sink else None
    unit = container(agent, installation, sink=local)
    unit.pop("ports")
    if not probes:
        unit = {key: value for key, value in unit.items() if key not in _PROBES}
    return [unit, _gateway(agent, installation, sink=sink)]


def _gateway(agent: LambdaAgent, installation: Installation, *, sink: str | None) -> Object:
    segments = _deliveries(agent, installation.keys)
    said = {
        "LAMBDAAGENT_AGENT": described(agent),
        "LAMBDAAGENT_PORT": str(port(agent)),
        "LAMBDAAGENT_SINK": sink,
        "LAMBDAAGENT_ACCESS": installation.access,
        "LAMBDAAGENT_ACCESS_RULES": installation.sidecar_rules,
        "LAMBDAAGENT_GATEWAY_URL": installation.gateway_url,
        "LAMBDAAGENT_DELIVERIES": ",".join(map(capability.hashed, segments)),
    }
    values = {name: value for name, value in said.items() if value}
    health = (agent.spec.behavior and agent.spec.behavior.health_check) or HealthCheck()
    ready = {"httpGet": {"path": READY}} | readiness_timing(health.readiness or Probe())
    return {
        "name": CONTAINER,
        "image": installation.gateway_image,
        "args": ["gateway", "--sidecar"],
        "ports": [{"containerPort": port(agent)}],
        "env": [{"name": name, "value": environment.literal(values[name])} for name in sorted(values)],
        "resources": {"requests": {"cpu": "25m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "readinessProbe": ready,
        "livenessProbe": {"httpGet": {"path": ALIVE}, "initialDelaySeconds": 15, "periodSeconds": 20},
    }


def described(agent: LambdaAgent) -> str:
    """Return what the gateway in the pod must know of its agent, without its environment, which may hold secrets.

    Defaults are left out: otherwise a field that a later release adds would roll out every sidecar.
    """
    spec = agent.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=_SPEC)
    return orjson.dumps({"metadata": {"name": agent.name, "namespace": agent.namespace}, "spec": spec}).decode()


def tasks_are_shared(agent: LambdaAgent, *, knative: bool) -> bool:
    """Whether every call of a task reaches the process that keeps it: there is always exactly one pod."""
    scaling = agent.spec.scaling
    if scaling is None:
        return not knative  # without `scaling`, Knative scales from none to many
    least = scaling.min_replicas if knative else max(1, scaling.min_replicas)
    return least == scaling.max_replicas == 1


def delivery_path(agent: LambdaAgent, keys: Mapping[str, bytes]) -> str:
    """Return the path at which the agent gets events: at a sidecar it ends in a capability, if there are keys."""
    segments = _deliveries(agent, keys) if asked(agent) else []
    return f"{DELIVER}/{segments[0]}" if segments else "/"


def _deliveries(agent: LambdaAgent, keys: Mapping[str, bytes]) -> list[str]:
    """Return the capabilities, by each key: while keys are replaced, old ones are in use."""
    return [
        capability.sign({kid: key}, namespace=agent.namespace, use=capability.Use.TO, agent=agent.name)
        for kid, key in keys.items()
    ]


def sink_path(url: str) -> str:
    """Return the path at which the sidecar takes the agent's events: that of the URL behind it, with its capability."""
    path = urlsplit(url).path.rstrip("/")
    return path or "/-/events"  # a Broker's path is `/`, where the agent itself takes events
