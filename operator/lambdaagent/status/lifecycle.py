"""Decides what happened to an agent, from its previous status and the new one. Pure."""

from enum import StrEnum

from lambdaagent.children.base import Object
from lambdaagent.status.readiness import condition


class Happening(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    READY = "ready"
    DEGRADED = "degraded"
    DELETED = "deleted"


def happened(before: Object, after: Object) -> list[Happening]:
    """Return what happened, in the order of publication. A rollout counts as degraded only if it fails."""
    if after["phase"] == "Deleting":
        return []  # DELETED is published when the agent is gone
    found = []
    edited = before.get("observedGeneration") != after["observedGeneration"]
    if not before.get("phase"):
        found.append(Happening.CREATED)
    elif edited:
        found.append(Happening.UPDATED)
    was, now = _ready(before), _ready(after)
    failed = after["phase"] == "Failed" and (edited or before.get("phase") != "Failed")
    if now and not was:
        found.append(Happening.READY)
    elif not now and (failed or (was and not edited)):
        found.append(Happening.DEGRADED)
    return found


def _ready(status: Object) -> bool:
    return (condition(status, "Ready") or {}).get("status") == "True"
