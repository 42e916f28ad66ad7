"""The operations that a client can request, in every version and binding (1.0 section 3.1)."""

from enum import StrEnum

from lambdaagent.a2a.errors import A2AError, Problem


class Operation(StrEnum):
    SEND = "send"
    STREAM = "stream"
    GET = "get"
    LIST = "list"
    CANCEL = "cancel"
    SUBSCRIBE = "subscribe"
    PUSH_PUT = "push-put"
    PUSH_GET = "push-get"
    PUSH_LIST = "push-list"
    PUSH_DROP = "push-drop"
    EXTENDED_CARD = "extended-card"

    @property
    def streamed(self) -> bool:
        return self in _STREAMED

    @property
    def push(self) -> bool:
        return self in _PUSH


_STREAMED = frozenset((Operation.STREAM, Operation.SUBSCRIBE))
_PUSH = frozenset((Operation.PUSH_PUT, Operation.PUSH_GET, Operation.PUSH_LIST, Operation.PUSH_DROP))


def unsupported(operation: Operation) -> A2AError:
    """Return the error for an operation of the protocol that the card does not advertise (1.0 section 3.3.4)."""
    if operation.push:
        return A2AError(Problem.PUSH_NOT_SUPPORTED)
    return A2AError(Problem.UNSUPPORTED_OPERATION, f"The operation {operation} is not supported; see the agent's card.")
