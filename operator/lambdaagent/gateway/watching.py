"""Feeds the directory from the API server: a list and a watch for ever, so discovery never wakes a pod."""

from datetime import UTC, datetime
from typing import Any

from lambdaagent.gateway.brokers import Brokers
from lambdaagent.gateway.directory import Directory
from lambdaagent.kube import reading
from lambdaagent.kube.watch import Watcher


async def feed(watcher: Watcher, *, directory: Directory, brokers: Brokers) -> None:
    """Until cancelled. An agent that this release cannot read is left out, or stays as it last could be read."""
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
    # A revision that was ready once goes on serving while a newer one fails.
    ready = bool(service and (service.ready or service.latest_revision))
    url = service.url if service else None
    directory.upsert(agent, url=url, ready=ready, last_modified=_modified(obj))


def _modified(obj: dict[str, Any]) -> datetime:
    """When somebody last wrote anything but status: that is what a card is made of."""
    metadata = obj["metadata"]
    times = [
        entry["time"]
        for entry in metadata.get("managedFields", [])
        if entry.get("time") and entry.get("subresource") != "status"
    ]
    text = max(times, default=metadata.get("creationTimestamp"))
    return datetime.fromisoformat(text) if text else datetime.now(UTC)
