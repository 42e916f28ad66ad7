"""The event that a task emits, and its message to those who subscribed to its type as a topic. Pure."""

from uuid import NAMESPACE_URL, uuid5

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination.message import TOPIC, Message
from lambdaagent.coordination.workflow import Run

CLAIMED = "cloudevent"
"""The metadata of a message in which the attributes of its event stand."""


def event_of(run: Run, given: Json, key: str, *, at: float) -> Json:
    """Return the whole event. Its id follows from the run and the step, so a repetition is the same event."""
    known: Json = {
        "specversion": "1.0",
        "id": str(uuid5(NAMESPACE_URL, f"urn:lambdaagent:{run.run_id}:{key}")),
        "source": given.get("source") or f"/a2a/workflows/{run.workflow}",
        "type": given["type"],
        "time": rfc3339(at, digits="milliseconds"),
        "datacontenttype": "application/json",
        "data": given.get("data"),
    }
    return known | {name: given[name] for name in ("subject", "dataschema") if name in given}


def message_of(run: Run, event: Json) -> Message:
    data, wrapped = event["data"], not isinstance(event["data"], dict)
    claimed: Json = {name: event[name] for name in ("source", "subject") if name in event}
    return Message(
        id=event["id"],
        sender=run.created_by,
        to=(f"{TOPIC}{event['type']}",),
        kind="notification",
        content={"type": "context", "data": {"value": data} if wrapped else data},
        session=run.run_id,
        hops=run.depth,
        metadata={CLAIMED: claimed | ({"wrapped": True} if wrapped else {})},
    )
