"""The children of an agent on plain Kubernetes: Deployment, Service, HorizontalPodAutoscaler.

There is no scale to zero, and an autoscaler on CPU works only if CPU is requested; warnings report both.
"""

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import sidecar
from lambdaagent.children.base import Object, child, labels
from lambdaagent.children.container import container, pull_secrets, service_account
from lambdaagent.settings import Installation

SERVICE_PORT = 80
CPU_UTILIZATION = 80


def deployment(agent: LambdaAgent, installation: Installation, *, sink: str | None) -> Object:
    """Return the Deployment. It has no `replicas` if an autoscaler owns the field, or if the agent has no `scaling`:
    then others may scale the Deployment, and the default is 1."""
    units = (
        sidecar.containers(agent, installation, sink=sink, probes=True)
        if sidecar.wanted(agent, installation)
        else [container(agent, installation, sink=sink)]
    )
    for unit, number in zip(units, (agent.spec.container_image.port, sidecar.port(agent)), strict=False):
        for probe in ("readinessProbe", "livenessProbe"):
            if probe in unit:
                unit[probe]["httpGet"]["port"] = number
    serving = agent.spec.serving
    pod: Object = {
        **service_account(agent),
        **pull_secrets(agent),
        # Requests in progress may end: the period is as long as a response may take.
        "terminationGracePeriodSeconds": serving.timeout_seconds if serving and serving.timeout_seconds else 300,
        "containers": units,
    }
    spec: Object = {
        "selector": {"matchLabels": selector(agent)},
        "template": {"metadata": {"labels": labels(agent, "agent")}, "spec": pod},
    }
    if agent.spec.scaling and not autoscaled(agent):
        spec["replicas"] = _minimum(agent)
    return child(agent, "apps/v1", "Deployment", agent.name, "agent", spec)


def service(agent: LambdaAgent, installation: Installation) -> Object:
    spec: Object = {
        "type": "ClusterIP",
        "selector": selector(agent),
        "ports": [{"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": port(agent, installation)}],
    }
    return child(agent, "v1", "Service", agent.name, "agent", spec)


def autoscaler(agent: LambdaAgent) -> Object | None:
    scaling = agent.spec.scaling
    if not scaling or not autoscaled(agent):
        return None
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": CPU_UTILIZATION}}
    spec: Object = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": agent.name},
        "minReplicas": _minimum(agent),
        "maxReplicas": max(scaling.max_replicas, _minimum(agent)),
        "metrics": [{"type": "Resource", "resource": metric}],
    }
    return child(agent, "autoscaling/v2", "HorizontalPodAutoscaler", agent.name, "agent", spec)


def autoscaled(agent: LambdaAgent) -> bool:
    scaling = agent.spec.scaling
    return bool(scaling and scaling.max_replicas > _minimum(agent) and requests_cpu(agent))


def requests_cpu(agent: LambdaAgent) -> bool:
    resources = agent.spec.resources
    # The API server takes a limit without a request as the request.
    return bool(resources and any(amounts and amounts.cpu for amounts in (resources.requests, resources.limits)))


def _minimum(agent: LambdaAgent) -> int:
    return max(1, agent.spec.scaling.min_replicas) if agent.spec.scaling else 1


def port(agent: LambdaAgent, installation: Installation) -> int:
    """Return the port at which the pod is called."""
    return sidecar.port(agent) if sidecar.wanted(agent, installation) else agent.spec.container_image.port


def selector(agent: LambdaAgent) -> dict[str, str]:
    """Return the labels of the agent's pods."""
    return {naming.LABEL_AGENT: agent.name, naming.LABEL_COMPONENT: "agent"}
