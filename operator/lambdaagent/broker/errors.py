"""Errors of the broker. A publish that raises was not confirmed: the caller may repeat it."""

from collections.abc import Mapping

from lambdaagent.errors import PermanentError, TemporaryError


class BrokerUnavailableError(TemporaryError):
    """There is no connection, or it was lost before the response."""


class NotConfirmedError(TemporaryError):
    """The broker refused the event for now, or did not confirm it in time; it may have been delivered all the same."""


class BlockedError(TemporaryError):
    """The broker accepts no events at present: it is short of memory or disk, or a queue is full."""


class NoQueueError(TemporaryError):
    """An agent subscribes to the event and no queue took it: its queue or binding is missing, or not made yet."""


class TopologyBusyError(TemporaryError):
    """Another process is changing the same exchange's bindings."""


class TopologyError(PermanentError):
    """The declaration contradicts what exists (queue type, arguments), or this user lacks the right."""


class RefusedQueuesError(TopologyError):
    """`refused` has the broker's reason for each queue; `stale` are the queues that lost their bindings."""

    def __init__(self, refused: Mapping[str, str], *, stale: frozenset[str]) -> None:
        super().__init__("; ".join(refused.values()))
        self.refused = refused
        self.stale = stale


class EventTooLargeError(PermanentError):
    """The message would break the connection that carries it."""
