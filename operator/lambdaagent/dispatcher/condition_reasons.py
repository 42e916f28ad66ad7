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

    READY = "Ready", True, "The agent's queue exists, and its bindings are declared."
    UNAVAILABLE = "RabbitMQUnavailable", False, "RabbitMQ cannot be used; the message gives the cause."
    REFUSED = (
        "RefusedByRabbitMQ",
        False,
        "RabbitMQ refuses to declare the exchange or the queue; the message gives the cause.",
    )
    MISSING = (
        "Missing",
        False,
        "An exchange, queue or binding of the agent was deleted, and RabbitMQ refuses to create it again.",
    )
    MADE_AGAIN = (
        "MadeAgain",
        True,
        "An exchange, queue or binding of the agent was deleted and created again within the last hour.",
    )
    DEAD_LETTERED = (
        "DeadLetteredByRabbitMQ",
        True,
        "RabbitMQ dead-lettered events of the agent within the last hour; the message names the policy's key.",
    )
