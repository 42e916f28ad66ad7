"""How a call to a container fails.

Each message says why, with the container as "it". It names no address, which is an inner one, and holds nothing of the
request: the message may reach callers.
"""

from lambdaagent.errors import PermanentError, TemporaryError


class UpstreamError(TemporaryError):
    """The container could not be asked or did not answer properly."""


class ConnectError(UpstreamError):
    """No connection: refused, unknown host, TLS. Nothing was sent."""


class BusyError(UpstreamError):
    """Every connection to the target stayed in use for as long as the call may take. Nothing was sent.

    It is the limit of this process, and no failure of the container.
    """

    def __init__(self, text: str, *, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


class UpstreamTimeoutError(UpstreamError):
    """No answer, or not the whole of it, in time."""


class DroppedError(UpstreamError):
    """The connection ended before the answer did; whether the container acted is unknown."""


class BadAnswerError(UpstreamError):
    """The answer is not HTTP/1.x, or breaks a limit."""


class UndecodableError(BadAnswerError):
    """The answer has a content coding that is not taken, or its bytes are not what the coding says."""


class BodyLengthError(PermanentError):
    """The body of a request has more or fewer bytes than its Content-Length; the connection is closed.

    Hazard: the container would read the bytes beyond it as a request of its own, and its answer would go to whoever
    uses the connection next.
    """


class BadTargetError(PermanentError):
    """The URL cannot be called, or a header cannot be sent."""


class RefusedMessageError(PermanentError):
    """A container that is an A2A server answers a message or a cancellation with a JSON-RPC error and nothing else."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def describe(error: UpstreamError | BadTargetError, agent: str) -> str:
    """The failure of a call for whoever asked for it; `agent` is the subject, such as "The agent shop/echo"."""
    if isinstance(error, ConnectError):
        return f"{agent} cannot be reached: {error}."
    if isinstance(error, UpstreamTimeoutError):
        return f"{agent} did not answer in time: {error}."
    if isinstance(error, BadTargetError):
        return f"{agent} cannot be called: {error}."
    return f"{agent} did not answer properly: {error}."
