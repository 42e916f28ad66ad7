"""The agent's container and pod, as far as both serving backends have them in common.

Knative sets and refuses much itself: no lifecycle hooks, no pod security context, one port. What is built here passes
its webhook and is not changed by its defaulting.

A pod meets the `restricted` pod security standard unless the installation or the agent's annotation is `baseline`: with
`restricted`, the kubelet refuses an image that runs as root.
"""

from typing import get_args

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.workload import HealthCheck, Probe, Resources
from lambdaagent.children.base import Object
from lambdaagent.children.environment import environment
from lambdaagent.settings import Installation, PodSecurity

CONTAINER = "user-container"  # Knative's default, for both backends


POD_SECURITY: tuple[str, ...] = get_args(PodSecurity)


def container(agent: LambdaAgent, installation: Installation, *, sink: str | None) -> Object:
    image = agent.spec.container_image
    out: Object = {
        "name": CONTAINER,
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "ports": [{"containerPort": image.port}],
        "env": environment(agent, sink=sink, gateway=installation.gateway_url),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            **({"runAsNonRoot": True} if restricted(agent, installation) else {}),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if image.command:
        out["command"] = list(image.command)
    if image.args:
        out["args"] = list(image.args)
    if agent.spec.resources and (resources := _resources(agent.spec.resources)):
        out["resources"] = resources
    return out | probes(agent)


def restricted(agent: LambdaAgent, installation: Installation) -> bool:
    """Whether the pod must be `restricted`. A known value of the annotation wins over the installation's."""
    said = agent.metadata.annotations.get(naming.ANNOTATION_POD_SECURITY)
    return (said if said in POD_SECURITY else installation.pod_security) == "restricted"


def probes(agent: LambdaAgent) -> Object:
    """Return the probes; without a healthCheck block they use GET /health, as in earlier releases."""
    behavior = agent.spec.behavior
    health = (behavior and behavior.health_check) or HealthCheck()
    out: Object = {}
    if not health.enabled:
        return out
    readiness, liveness = health.readiness or Probe(), health.liveness or Probe()
    if readiness.enabled:
        out["readinessProbe"] = _get(readiness.path or health.path) | readiness_timing(readiness)
    if liveness.enabled:
        # A slow start must not be taken for a failed container.
        first = {"initialDelaySeconds": 15, "periodSeconds": 20}
        out["livenessProbe"] = first | _get(liveness.path or health.path) | _timing(liveness)
    return out


def readiness_timing(probe: Probe) -> Object:
    """Return the timing. Without a period Knative probes in its own fast way and refuses some fields; 10 is Kubernetes'
    default."""
    timing = _timing(probe)
    if probe.timeout_seconds or probe.failure_threshold:
        timing.setdefault("periodSeconds", 10)
    return timing


def _timing(probe: Probe) -> Object:
    timing = {
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "failureThreshold": probe.failure_threshold,
    }
    return {key: value for key, value in timing.items() if value is not None}


def _get(path: str) -> Object:
    return {"httpGet": {"path": path}}


def pull_secrets(agent: LambdaAgent) -> Object:
    # Each name once: the API server treats the list as a map by name and refuses duplicates.
    names = agent.spec.container_image.image_pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in dict.fromkeys(names)]} if names else {}


def service_account(agent: LambdaAgent) -> Object:
    name = agent.spec.service_account_name
    return {"serviceAccountName": name} if name else {}


def _resources(resources: Resources) -> Object:
    dumped: Object = resources.model_dump(exclude_none=True)
    return {kind: amounts for kind, amounts in dumped.items() if amounts}
