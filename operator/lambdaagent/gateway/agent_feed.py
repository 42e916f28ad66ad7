"""Feeds the directory from a list and watch of the API server, so that discovery never starts a pod."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lambdaagent.api import naming
from lambdaagent.gateway.directory import NOT_READY, Directory
from lambdaagent.gateway.events.publishers import Brokers
from lambdaagent.kube import reading
from lambdaagent.kube.watch import Watcher

_NOT_ASKED = "its server has not said yet what it offers; see the agent's condition ServingReady"


@dataclass(frozen=True, slots=True)
class FirstList:
    """Whether the agents have been listed. Until then an agent without an entry may exist."""

    watchers: Sequence[Watcher]

    def of(self, namespace: str | None) -> bool:
        """Return whether the agents of a namespace, or of all (None), are listed.

        A namespace whose list is refused does not delay the others.
        """
        if namespace is not None:
            return all(each.settled.is_set() for each in self.watchers if each.namespace in (None, namespace))
        return all(each.settled.is_set() for each in self.watchers) and any(
            each.synced.is_set() for each in self.watchers
        )


async def feed(watcher: Watcher, *, directory: Directory, brokers: Brokers) -> None:
    """Run until cancelled. An agent that this release cannot read is left out, or keeps its last readable state."""
    async for change in watcher.changes():
        obj = change.object
        if change.type == "DELETED":
            directory.remove(obj["metadata"]["namespace"], obj["metadata"]["name"])
        else:
            _take(obj, directory)
        brokers.changed()


def _take(obj: dict[str, Any], directory: Directory) -> None:
    agent = reading.read(obj)
    if agent is None:
        return
    service = agent.status.service_status
    # A Revision that was ready continues to serve while a newer one fails.
    ready = bool(service and (service.ready or service.latest_revision))
    url = service.url if service else None
    if agent.external is not None:  # likewise an external server that is known: a call finds out whether it answers
        a2a = agent.status.a2a_status
        ready = ready or bool(a2a and a2a.container_card)
    problem = _NOT_ASKED if agent.external is not None else NOT_READY
    directory.upsert(agent, url=url, ready=ready, last_modified=_modified(obj), problem=problem)


def _modified(obj: dict[str, Any]) -> datetime:
    """Return the time of the last write that a card may depend on: any write but the dispatcher's status."""
    metadata = obj["metadata"]
    times = [
        entry["time"]
        for entry in metadata.get("managedFields", [])
        if entry.get("time") and entry.get("manager") != naming.STATUS_OF_DISPATCHER
    ]
    text = max(times, default=metadata.get("creationTimestamp"))
    return datetime.fromisoformat(text) if text else datetime.now(UTC)
