"""The cause of a dead letter, written into the headers of its message. Pure.

The cause is in `x-` headers, which no filter compares and no reader of events reads, so that `bare` restores the
message for the agent. A binary event gets Knative's extensions too, for consumers that read the queue like Knative's
sinks; in structured mode its attributes are in the body, which is not changed. For a message that the broker itself
moved (a quorum queue's delivery limit), RabbitMQ's own headers have the cause.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lambdaagent.clock import rfc3339
from lambdaagent.events import amqp, http
from lambdaagent.events.errors import EventError

NO_ANSWER = -1
EXPIRED, TOO_MANY, TOO_OFTEN = "expired", "maxlen", "delivery_limit"
BY_RABBITMQ = {EXPIRED: "message-ttl", TOO_MANY: "max-length or max-length-bytes", TOO_OFTEN: "delivery-limit"}
"""RabbitMQ's reasons where no consumer rejected the message, and the policy keys that lead to them."""
OWN_EXPIRATION = "expiration"
"""Our reason instead of `expired` where the message itself, and not a policy, set its time to live."""
_AGENT, REASON, _CODE, _DESTINATION, _ATTEMPTS, _AT = (
    f"x-lambdaagent-{name}" for name in ("agent", "reason", "code", "destination", "attempts", "at")
)
"""Every dead letter written here has `REASON`."""
_ERROR = "x-lambdaagent-error"
"""The only header that earlier releases wrote for a message that is not an event."""
REDRIVE = "x-lambdaagent-redrive"
"""Marks a message that is redriven: it is delivered even if it was delivered before."""
_DEST, _STATUS, _DATA = "knativeerrordest", "knativeerrorcode", "knativeerrordata"
_OF_KNATIVE = frozenset((_DEST, _STATUS, _DATA))
# Headers about a message's path, not its content. All of ours are removed: attempts and due times begin anew.
_PASSING = ("x-lambdaagent-", "x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
_REASON_LIMIT, _DESTINATION_LIMIT = 1000, 2048  # all headers together must fit into one frame
_DATA_LIMIT = 768  # bytes, which are 1024 characters in base64: Knative's limit


@dataclass(frozen=True, slots=True)
class DeathCause:
    agent: str  # "namespace/name"; empty if unknown
    reason: str
    at: float  # time of the dead-lettering, seconds since the epoch; 0: unknown
    code: int = NO_ANSWER  # status of the last response
    destination: str = ""  # URL of the last attempt
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Death:
    """RabbitMQ's own removal of a message from a queue."""

    queue: str
    reason: str  # one of BY_RABBITMQ, or OWN_EXPIRATION
    at: float  # seconds since the epoch, by RabbitMQ's clock; 0: unknown
    count: int  # number of such removals of the same message


def mark(message: amqp.Message, cause: DeathCause) -> amqp.Message:
    """Return the message with its cause; the headers of an earlier cause are removed."""
    reason, destination = _clean(cause.reason)[:_REASON_LIMIT], _clean(cause.destination)[:_DESTINATION_LIMIT]
    headers: dict[str, Any] = {
        _AGENT: cause.agent,
        REASON: reason,
        _CODE: cause.code,
        _DESTINATION: destination,
        _ATTEMPTS: cause.attempts,
        _AT: rfc3339(cause.at, digits="milliseconds"),
    }
    plain = bare(message)
    if _is_binary_event(plain):
        data = base64.b64encode(reason.encode()[:_DATA_LIMIT]).decode()
        headers |= {_DEST: destination, _STATUS: cause.code, _DATA: data}
    return replace(message, headers={**plain.headers, **headers})


def cause_of(message: amqp.Message) -> DeathCause:
    """Return the cause as far as the headers have it: RabbitMQ and other clients put messages into the queue too."""
    headers = message.headers
    death = _last_death(headers)
    return DeathCause(
        agent=_text(headers, _AGENT) or agent_of_queue(death.get("queue")),
        reason=_text(headers, REASON) or _text(headers, _ERROR) or _by_rabbitmq(death) or "not delivered",
        at=_time(headers.get(_AT)) or _time(death.get("time")),
        code=_int(headers.get(_CODE, headers.get(_STATUS)), NO_ANSWER),
        destination=_text(headers, _DESTINATION) or _text(headers, _DEST),
        attempts=_int(headers.get(_ATTEMPTS), 0),
    )


def death_by_rabbitmq(headers: Mapping[str, Any]) -> Death | None:
    """Return RabbitMQ's own removal of the message; None if a consumer decided on it.

    Only the latest one counts: a message that waited for its next attempt expired in a delay queue before.
    """
    death = _last_death(headers)
    queue, reason = death.get("queue"), death.get("reason")
    if not isinstance(queue, str) or not isinstance(reason, str) or reason not in BY_RABBITMQ:
        return None
    if reason == EXPIRED and "original-expiration" in death:
        reason = OWN_EXPIRATION
    return Death(queue, reason, _time(death.get("time")), _int(death.get("count"), 0))


def bare(message: amqp.Message) -> amqp.Message:
    """Return the message as it was before it was dead-lettered."""
    kept = {name: value for name, value in message.headers.items() if not _of_death(name.lower())}
    return replace(message, headers=kept)


def _of_death(name: str) -> bool:
    return name in _OF_KNATIVE or name.startswith(_PASSING)


def _is_binary_event(message: amqp.Message) -> bool:
    if http.mode({amqp.CONTENT_TYPE: message.content_type or ""}) is not None:
        return False
    try:
        amqp.read(message)
    except EventError:
        return False
    return True


def _clean(text: str) -> str:
    """Replace what no AMQP header can carry."""
    return text.encode("utf-8", "replace").decode()


def _text(headers: Mapping[str, Any], name: str) -> str:
    value = headers.get(name)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _int(value: Any, otherwise: int) -> int:
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return found if abs(found) < 2**31 else otherwise  # the range of a database's integer column


def _time(value: Any) -> float:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return 0.0
    if not isinstance(value, datetime):
        return 0.0
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _last_death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the latest entry of `x-death`, which is its first."""
    deaths = headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else {}
    return latest if isinstance(latest, dict) else {}


def _by_rabbitmq(death: Mapping[str, Any]) -> str:
    reason = death.get("reason")
    if not isinstance(reason, str):
        return ""
    key = BY_RABBITMQ.get(reason) if "original-expiration" not in death else None
    policy = f", because of a policy's {key}; see rabbitmqctl list_policies" if key else ""
    return f"RabbitMQ dead-lettered it ({reason}) in queue {death.get('queue')}{policy}"


def agent_of_queue(queue: Any) -> str:
    """Return "namespace/name" of the agent whose queue has this name; empty for any other queue."""
    parts = queue.split(".") if isinstance(queue, str) else []
    match parts:
        case ["lambdaagent", namespace, "agent", name, *_]:
            return f"{namespace}/{name}"
    return ""
