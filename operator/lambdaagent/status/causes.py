"""Finds why a workload or a Broker is not ready, from pods, ReplicaSets, Revisions and objects of RabbitMQ's operator.

A Deployment reports "no pod is available" and Knative "Deploying" for ten minutes although the kubelet knows the cause
at once. A cause must stay the same while nothing changes. A crash loop alternates between three states and an image
pull between two, so each is reported as one state, without counts, times or ids.
"""

import re
from dataclasses import dataclass

from lambdaagent.api import naming
from lambdaagent.children.base import Object
from lambdaagent.status.readiness import State, condition, without_output

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"})
_CONTAINER = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_NEVER_STARTED = frozenset({"StartError", "ContainerCannotRun"})
# Two failures may be a start before a dependency was available.
_AGAIN_AND_AGAIN = 3
TOPOLOGY_OPERATOR = "RabbitMQ's messaging topology operator"
_SIDECARS = frozenset({"queue-proxy"})
# The kubelet appends the pod's name; runtimes add ids.
_NOISE = re.compile(r'\s*\(pod: "[^"]*", container: [^)]*\)|\b[0-9a-f]{32,}\b')
# Each attempt to create a pod uses another name.
_ATTEMPT = re.compile(r'^pods "[^"]*" is forbidden: ')
_WHY = (
    (re.compile("not found|NotFound|manifest unknown|does not exist", re.IGNORECASE), "the registry does not have it"),
    (re.compile("unauthorized|denied|forbidden|authorization", re.IGNORECASE), "the registry refuses access"),
    (re.compile("no such host|i/o timeout|refused|unreachable", re.IGNORECASE), "the registry cannot be reached"),
)
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Cause:
    """`status` is False if somebody must change something, Unknown if the cause may pass."""

    reason: str
    message: str
    status: State = "False"


def of_pod(pod: Object) -> Cause | None:
    """Return what keeps a pod from being ready; None if nothing does or the pod is still starting."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return None
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        if container["name"] not in _SIDECARS and (cause := _of_container(container)):
            return cause
    scheduled = condition(pod.get("status"), "PodScheduled")
    if scheduled and scheduled["status"] == "False" and scheduled.get("reason") == "Unschedulable":
        return Cause("Unschedulable", f"no node accepts the pod: {_clean(scheduled.get('message', ''))}", "Unknown")
    if status.get("phase") == "Failed":
        return Cause(status.get("reason") or "PodFailed", _clean(status.get("message") or "the pod failed"))
    return None


def _of_container(container: Object) -> Cause | None:
    if container.get("ready"):
        return None
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE:
        why = next((text for pattern, text in _WHY if pattern.search(message)), "")
        hint = "check spec.image and spec.image.imagePullSecrets"
        return Cause("ImagePullBackOff", f"cannot pull {container['image']}{': ' if why else ''}{why}; {hint}")
    if reason in _CONTAINER:
        return Cause(reason, _with_next_step(_clean(message or reason)))
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended and (container.get("restartCount") or ended.get("exitCode")):
        return _of_end(container, ended)
    return None


def _of_end(container: Object, ended: Object) -> Cause:
    name, code = container["name"], ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        message = f"container {name} exceeded its memory limit; raise spec.resources.limits.memory"
        return Cause("OOMKilled", message)
    if ended.get("reason") in _NEVER_STARTED:
        # Here the message is from the runtime; otherwise the container wrote it.
        why = _clean(ended.get("message") or ended["reason"])
        message = f"container {name} cannot start: {why}; check spec.image.command, spec.image.args and the image"
        return Cause(ended["reason"], message)
    ends = container.get("restartCount", 0) + ("running" not in (container.get("state") or {}))
    if ends < _AGAIN_AND_AGAIN:
        return Cause("ContainerEnded", f"container {name} ended with exit code {code}; see kubectl logs", "Unknown")
    message = f"container {name} repeatedly ends with exit code {code}"
    return Cause("CrashLoopBackOff", f"{message}; see kubectl logs --previous")


def _with_next_step(message: str) -> str:
    if "runAsNonRoot" in message or "non-numeric user" in message:
        allowed = f"annotate the agent {naming.ANNOTATION_POD_SECURITY}=baseline"
        return f"{message}; give the image a numeric USER other than 0, or {allowed}"
    if "not found" in message or "couldn't find key" in message:
        return f"{message}; create it in the agent's namespace or correct the reference in spec"
    return message


def of_replica_set(replicas: Object) -> Cause | None:
    """Return why no pod can be created: missing service account, quota, policy. Knative reports it minutes later."""
    failed = condition(replicas.get("status"), "ReplicaFailure")
    if failed is None or failed["status"] != "True":
        return None
    message = failed.get("message") or ""
    step = "; create it or correct spec.serviceAccountName" if "service account" in message else ""
    reason = failed.get("reason") or "FailedCreate"
    text = _clean(_ATTEMPT.sub("", message)) or reason
    return Cause(reason, f"no pod can be created: {text}{step}")


def of_revision(revision: Object) -> Cause | None:
    """Return Knative's reason for a failed Revision; it is more precise than the Service's RevisionFailed."""
    ready = condition(revision.get("status"), "Ready")
    if ready is None or ready["status"] != "False":
        return None
    text = _clean(without_output(ready.get("message") or ready.get("reason") or "failed"))
    return Cause(ready.get("reason") or "RevisionFailed", f"Revision {revision['metadata']['name']}: {text}")


def of_exchange(exchange: Object) -> Cause | None:
    """Return why RabbitMQ's topology operator refuses a Broker's exchange; the Broker shows no cause."""
    ready, title = condition(exchange.get("status"), "Ready"), f"Exchange {exchange['metadata']['name']}"
    if ready is None:
        message = f"{title}: no report yet; if this persists, check that {TOPOLOGY_OPERATOR} runs"
        return Cause("AwaitingController", message, "Unknown")
    if ready["status"] == "True":
        return None
    text = _clean(ready.get("message") or ready.get("reason") or "not ready")
    return Cause(ready.get("reason") or "ExchangeFailure", f"{title}: {text}")


def _clean(message: str) -> str:
    text = " ".join(_NOISE.sub("", message).split()).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
