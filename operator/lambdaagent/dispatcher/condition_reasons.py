"""The reasons of the condition EventingReady, which the dispatcher writes."""

from enum import StrEnum


class ConditionReason(StrEnum):
    meaning: str
    holds: bool
    """Whether the condition is True: events are delivered."""

    def __new__(cls, value: str, holds: bool, meaning: str) -> "ConditionReason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.holds, member.meaning = holds, meaning
        return member

    READY = "Ready", True, "The agent's queue stands and is bound."
    UNAVAILABLE = "RabbitMQUnavailable", False, "RabbitMQ takes no events; the message says why."
    REFUSED = "RefusedByRabbitMQ", False, "RabbitMQ refuses to make the exchange or the queue."
    MISSING = "Missing", False, "Somebody deleted something of the agent's, and RabbitMQ refuses to make it again."
    MADE_AGAIN = "MadeAgain", True, "Somebody deleted something of the agent's within the last hour; it stands again."
    DEAD_LETTERED = (
        "DeadLetteredByRabbitMQ",
        True,
        "RabbitMQ itself dead-lettered events of the agent within the last hour; the message names the policy's key.",
    )
