"""Problem documents (RFC 9457): the error responses of every endpoint except A2A."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from lambdaagent.httpclient.codings import TAKEN, UnknownCodingError
from lambdaagent.httpclient.errors import BusyError, ConnectError, UpstreamError, UpstreamTimeoutError, describe

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}
CODINGS = {"Accept-Encoding": TAKEN}  # sent when a content coding is refused (RFC 9110 12.5.3)
UNREADABLE = "unreadable-data"  # what is stored cannot be decrypted
PREFIX = "urn:lambdaagent:problem:"


class ProblemError(Exception):
    """An error that the errors middleware answers with a problem document. `detail` is for people."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def response(self, *, request_id: str) -> web.Response:
        document = {
            "type": PREFIX + self.kind,
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": str(self),
            **self.members,
            "requestId": request_id,
        }
        return web.Response(
            status=self.status, body=orjson.dumps(document), content_type=CONTENT_TYPE, headers=self.headers
        )


def unknown_agent(namespace: str, name: str) -> ProblemError:
    return ProblemError(404, "unknown-agent", f"There is no agent {name!r} in the namespace {namespace!r}.")


def not_ready(key: str, *, why: str) -> ProblemError:
    return ProblemError(503, "agent-not-ready", f"The agent {key} cannot be called yet: {why}.", headers=RETRY_AFTER)


def broken_body(error: Exception) -> ProblemError:
    """The rest of the body is not read, so the connection cannot be reused."""
    return ProblemError(400, "broken-body", f"The body cannot be read: {error}.", headers={"Connection": "close"})


def unknown_coding(error: UnknownCodingError) -> ProblemError:
    return ProblemError(415, "unknown-coding", f"The body cannot be read: {error}.", headers=CODINGS)


def upstream(key: str, error: UpstreamError) -> ProblemError:
    """429 at the gateway's connection limit, 504 for a timeout, 502 if the agent is down or its response is invalid."""
    if isinstance(error, BusyError):
        detail = f"The gateway's limit of {error.limit} connections to the agent {key} is reached: {error}."
        return ProblemError(429, "agent-busy", detail, headers=RETRY_AFTER)
    detail = describe(error, f"The agent {key}")
    if isinstance(error, UpstreamTimeoutError):
        return ProblemError(504, "agent-slow", detail)
    return ProblemError(502, "agent-down" if isinstance(error, ConnectError) else "bad-agent-answer", detail)


def require_method(request: web.Request, *allowed: str) -> None:
    """Raises ProblemError (405 with Allow) for another method."""
    if request.method not in allowed:
        raise ProblemError(
            405, "method-not-allowed", f"Use {' or '.join(allowed)} here.", headers={"Allow": ", ".join(allowed)}
        )
