"""Errors of calls to containers.

Each message gives the reason, with the container as "it". It holds no address, which is an internal one, and nothing of
the request: the message may reach callers.
"""

from lambdaagent.errors import PermanentError, TemporaryError


class UpstreamError(TemporaryError):
    """The container could not be asked or did not respond properly."""


class ConnectError(UpstreamError):
    """No connection was made: refused, unknown host, TLS. Nothing was sent."""


class BusyError(UpstreamError):
    """No connection became free within the time of the call, or too many calls wait for one. Nothing was sent.

    The limit is this process's; the container has not failed.
    """

    def __init__(self, text: str, *, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


class UpstreamTimeoutError(UpstreamError):
    """The response did not begin or end in time."""


class DroppedError(UpstreamError):
    """The connection ended before the response did; it is unknown whether the container acted."""


class BadAnswerError(UpstreamError):
    """The response is not valid in its protocol (HTTP/1.x, A2A), or exceeds a limit."""


class UndecodableError(BadAnswerError):
    """The response has a content coding that is not supported, or its bytes do not match the coding."""


class BodyLengthError(PermanentError):
    """The body of a request has more or fewer bytes than its Content-Length; the connection is closed.

    Hazard: the container would read the excess bytes as another request, and its response would go to the next user of
    the connection.
    """


class BadTargetError(PermanentError):
    """The URL cannot be called, or a header cannot be sent."""


class RefusedMessageError(PermanentError):
    """A container that is an A2A or MCP server refuses a message or does not cancel a task; `code` is JSON-RPC's."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def describe(error: UpstreamError | BadTargetError, agent: str) -> str:
    """Return a call's failure as a sentence for the caller; `agent` is its subject, such as "The agent shop/echo"."""
    if isinstance(error, ConnectError):
        return f"{agent} cannot be reached: {error}."
    if isinstance(error, UpstreamTimeoutError):
        return f"{agent} did not answer in time: {error}."
    if isinstance(error, BadTargetError):
        return f"{agent} cannot be called: {error}."
    return f"{agent} did not answer properly: {error}."
