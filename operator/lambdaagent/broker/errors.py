"""Why the broker did not do what it was asked to. A publish that raises was not confirmed: the caller may repeat it."""

from collections.abc import Mapping

from lambdaagent.errors import PermanentError, TemporaryError


class BrokerUnavailableError(TemporaryError):
    """No connection, or it was lost before the answer."""


class NotConfirmedError(TemporaryError):
    """The broker refused it for now, or did not confirm it in time; it may have been delivered all the same."""


class BlockedError(TemporaryError):
    """The broker takes nothing at the moment: it is short of memory or disk, or a queue is full."""


class NoQueueError(TemporaryError):
    """An agent wants the event and no queue took it: its queue or binding is not there, or not there yet."""


class TopologyBusyError(TemporaryError):
    """Another process is changing the same exchange's bindings."""


class TopologyError(PermanentError):
    """What was asked for contradicts what exists (queue type, arguments), or is not allowed to this user."""


class RefusedQueuesError(TopologyError):
    """`refused` says of each queue what the broker has against it."""

    def __init__(self, refused: Mapping[str, str], *, stale: frozenset[str]) -> None:
        super().__init__("; ".join(refused.values()))
        self.refused = refused
        self.stale = stale


class EventTooLargeError(PermanentError):
    """The message would break the connection that carries it."""
