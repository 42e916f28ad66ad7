"""Errors of publishing to a Broker, besides those of `broker.errors`. The errors middleware turns them into answers."""

from collections.abc import Sequence

from lambdaagent.errors import PermanentError, TemporaryError


class UnknownBrokerError(PermanentError):
    """No agent has the Broker. `known` are the names to choose from."""

    def __init__(self, namespace: str, broker: str, *, known: Sequence[str]) -> None:
        super().__init__(f"no agent receives events on Broker {broker!r} in namespace {namespace!r}")
        self.known = list(known)


class BrokerNotReadyError(TemporaryError):
    """The Broker has no address yet."""

    def __init__(self, namespace: str, broker: str) -> None:
        super().__init__(f"Broker {broker!r} in namespace {namespace!r} has no address yet")
