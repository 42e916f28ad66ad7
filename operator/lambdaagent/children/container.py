"""The agent's container and pod, as far as both serving backends agree.

Knative fills in and refuses much itself: no lifecycle hooks, no pod security context, one port. What is said here
passes its webhook and stays byte-equal through its defaulting.
"""

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.workload import HealthCheck, Probe, Resources
from lambdaagent.children.base import Object
from lambdaagent.children.environment import environment

CONTAINER = "user-container"  # Knative's default, so that both backends look alike


def container(agent: LambdaAgent, *, sink: str | None) -> Object:
    image = agent.spec.image
    out: Object = {
        "name": CONTAINER,
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "ports": [{"containerPort": image.port}],
        "env": environment(agent, sink=sink),
        # Not runAsNonRoot: images in use today run as root.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
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


def probes(agent: LambdaAgent) -> Object:
    """Without a healthCheck block, GET /health as it has always been."""
    behavior = agent.spec.behavior
    health = (behavior and behavior.health_check) or HealthCheck()
    out: Object = {}
    if not health.enabled:
        return out
    readiness, liveness = health.readiness or Probe(), health.liveness or Probe()
    if readiness.enabled:
        out["readinessProbe"] = _get(readiness.path or health.path) | readiness_timing(readiness)
    if liveness.enabled:
        # A slow start must not look like a dead container.
        first = {"initialDelaySeconds": 15, "periodSeconds": 20}
        out["livenessProbe"] = first | _get(liveness.path or health.path) | _timing(liveness)
    return out


def readiness_timing(probe: Probe) -> Object:
    """Without a period Knative probes in its own fast way and refuses more; 10 is Kubernetes' default."""
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
    # Each once: the list is a map by name to the API server, which refuses a second one.
    names = agent.spec.image.image_pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in dict.fromkeys(names)]} if names else {}


def service_account(agent: LambdaAgent) -> Object:
    name = agent.spec.service_account_name
    return {"serviceAccountName": name} if name else {}


def _resources(resources: Resources) -> Object:
    dumped: Object = resources.model_dump(exclude_none=True)
    return {kind: amounts for kind, amounts in dumped.items() if amounts}
