"""The Knative Service of an agent. Autoscaling annotations belong on the template, and their values are strings."""

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.workload import DEFAULT_TIMEOUT_SECONDS
from lambdaagent.children import sidecar
from lambdaagent.children.base import Object, child, labels
from lambdaagent.children.container import container, pull_secrets, service_account
from lambdaagent.settings import Installation

SERVICE = ("serving.knative.dev/v1", "Service")


def knative_service(agent: LambdaAgent, installation: Installation, *, sink: str | None) -> Object:
    pod: Object = {
        **service_account(agent),
        **pull_secrets(agent),
        **_limits(agent),
        "containers": sidecar.containers(agent, installation, sink=sink, probes=False)
        if sidecar.wanted(agent, installation)
        else [container(agent, installation, sink=sink)],
    }
    template: Object = {"metadata": {"labels": labels(agent, "agent")}, "spec": pod}
    if annotations := _autoscaling(agent):
        template["metadata"]["annotations"] = annotations
    spec: Object = {"template": template}
    if agent.spec.serving and agent.spec.serving.traffic:
        spec["traffic"] = [target.model_dump(by_alias=True, exclude_none=True) for target in agent.spec.serving.traffic]
    external = agent.metadata.annotations.get(naming.ANNOTATION_VISIBILITY) == "external"
    visibility = {} if external else {"networking.knative.dev/visibility": "cluster-local"}
    return child(agent, *SERVICE, agent.name, "agent", spec, labels=visibility)


def _autoscaling(agent: LambdaAgent) -> dict[str, str]:
    scaling = agent.spec.scaling
    if not scaling:
        return {}
    return {
        "autoscaling.knative.dev/min-scale": str(scaling.min_replicas),
        "autoscaling.knative.dev/max-scale": str(scaling.max_replicas),
        "autoscaling.knative.dev/target": str(scaling.target_concurrency),
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period": scaling.scale_to_zero_grace_period,
    }


def _limits(agent: LambdaAgent) -> Object:
    serving = agent.spec.serving
    if not serving:
        return {}
    # Above Knative's default the time to the first byte must be raised as well (serving #15352).
    start = serving.response_start_timeout_seconds
    if start is None and serving.timeout_seconds and serving.timeout_seconds > DEFAULT_TIMEOUT_SECONDS:
        start = serving.timeout_seconds
    limits = {
        "timeoutSeconds": serving.timeout_seconds,
        "responseStartTimeoutSeconds": start,
        "containerConcurrency": serving.container_concurrency,
    }
    return {key: value for key, value in limits.items() if value is not None}
