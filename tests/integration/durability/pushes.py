"""Checks that each receiver got every event of its task's log in order; repetitions are allowed."""

from tests.integration.durability.client import Client, Json, ended
from tests.integration.durability.load import Sent


async def expected(client: Client, sent: Sent) -> list[str]:
    """Returns the events of the log that are pushed: all but the chunks of an artifact."""
    found = []
    events = client.events(client.any(), sent.agent, "SubscribeToTask", {"id": sent.task_id}, after="0")
    async for event in events:
        if (mark := _mark(event.data)) is not None:
            found.append(mark)
    return found


def told(bodies: list[Json]) -> list[str]:
    """Returns the notifications without repetitions, which come if a gateway dies before it records a notification."""
    return list(dict.fromkeys(mark for body in bodies if (mark := _mark(body)) is not None))


def awaited(sent: Sent, task: Json | None) -> bool:
    return sent.pushed and task is not None and ended(task)


def _mark(event: Json) -> str | None:
    """Returns what distinguishes an event from the others of its task."""
    if "statusUpdate" in event:
        status = event["statusUpdate"]["status"]
        return f"{status['state']} {status['timestamp']}"
    if "artifactUpdate" in event:
        update = event["artifactUpdate"]
        if update.get("append") or update.get("lastChunk") is False:
            return None
        return f"artifact {update['artifact']['artifactId']}"
    return None
