"""Decides whether one child is ready, from the report of its own controller.

A report about an older generation does not cover what was applied, so it counts as unknown. The output of a failed
container is left out: Knative repeats its last lines, and a stack trace may contain secrets.
"""

import re
from dataclasses import dataclass
from typing import Literal

from lambdaagent.children.base import Object

_OUTPUT = re.compile(r"Container failed with: .*", re.DOTALL)
State = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Readiness:
    status: State
    reason: str
    message: str = ""


def condition(status: Object | None, kind: str) -> Object | None:
    """Return the condition of this type in an object's status."""
    return next((entry for entry in (status or {}).get("conditions") or [] if entry.get("type") == kind), None)


def without_output(message: str) -> str:
    return _OUTPUT.sub("Container failed; see kubectl logs --previous", message)


def of_knative(obj: Object, *, controller: str) -> Readiness:
    """Return the readiness of a Knative Service, Broker or Trigger; `controller` is named if nothing is reported."""
    title = f"{obj['kind']} {obj['metadata']['name']}"
    status = obj.get("status") or {}
    ready = condition(obj.get("status"), "Ready")
    if ready is None or status.get("observedGeneration") != obj["metadata"].get("generation"):
        message = f"{title}: no report yet on what was applied; if this persists, check that {controller} runs"
        return Readiness("Unknown", "AwaitingController", message)
    if ready["status"] == "True":
        return Readiness("True", "Ready")
    cause = _cause(obj, ready)
    message = f"{title}: {without_output(cause.get('message') or cause.get('reason') or 'not ready')}"
    return Readiness("False" if ready["status"] == "False" else "Unknown", cause.get("reason") or "NotReady", message)


def _cause(obj: Object, ready: Object) -> Object:
    """Return the Ready condition if it has a reason or message, else the first condition that is not True."""
    if ready.get("reason") or ready.get("message"):
        return ready
    others = [entry for entry in obj["status"]["conditions"] if entry["type"] != "Ready" and not entry.get("severity")]
    return next((entry for entry in others if entry.get("status") != "True"), ready)


def of_deployment(obj: Object) -> Readiness:
    title = f"Deployment {obj['metadata']['name']}"
    status = obj.get("status") or {}
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        controller = "kube-controller-manager"
        message = f"{title}: no report yet on what was applied; if this persists, check that {controller} runs"
        return Readiness("Unknown", "AwaitingController", message)
    for kind in ("ReplicaFailure", "Progressing"):
        entry = condition(obj.get("status"), kind)
        if entry and entry["status"] == ("True" if kind == "ReplicaFailure" else "False"):
            return Readiness("False", entry.get("reason", kind), f"{title}: {entry.get('message', kind)}")
    available = condition(obj.get("status"), "Available")
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    if available and available["status"] == "True" and status.get("updatedReplicas", 0) >= min(1, wanted):
        return Readiness("True", "Ready")
    return Readiness("Unknown", "Deploying", f"{title}: no available pod of this version yet")


def serving_meanwhile(obj: Object) -> str:
    """Return which earlier version serves while the present one is not ready; empty if none does."""
    status = obj.get("status") or {}
    latest = status.get("latestReadyRevisionName")
    if latest and latest != status.get("latestCreatedRevisionName"):
        return f"Revision {latest}"
    older = status.get("availableReplicas", 0) and status.get("replicas", 0) > status.get("updatedReplicas", 0)
    return "the previous version" if older else ""
