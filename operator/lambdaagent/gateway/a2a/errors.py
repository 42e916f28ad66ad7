"""Maps an exception to an A2A error, which each binding writes in its own form."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.bodies import BrokenError
from lambdaagent.gateway.http.problems import CODINGS, PREFIX, RETRY_AFTER, UNREADABLE, ProblemError
from lambdaagent.gateway.http.sse import RevokedError
from lambdaagent.gateway.services import SERVICES, WHY
from lambdaagent.httpclient.codings import UnknownCodingError
from lambdaagent.store.errors import SealedValueError
from lambdaagent.tasks.errors import EngineBusyError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class A2aFailure:
    """A failed A2A call. `again` is the HTTP status, in both bindings, of a failure after which the client should send
    the same request again; 0 for every other failure.
    """

    error: A2AError
    again: int = 0
    about: Mapping[str, str] = field(default_factory=dict)  # headers that only this failure has

    @property
    def headers(self) -> dict[str, str]:
        return {**self.about, **(RETRY_AFTER if self.again else {})}

    @property
    def rpc_http(self) -> int:
        """The HTTP status in the JSON-RPC binding."""
        return self.again or (403 if self.error.problem is Problem.PERMISSION_DENIED else 200)

    @property
    def status(self) -> str:
        """The google.rpc.Code that replaces the one of the error; empty if none does."""
        return {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(self.again, "")


def of(request: web.Request, entry: Entry | None, error: Exception) -> A2aFailure:
    """Return the failure for an exception. Raises those that have no A2A error: aiohttp's HTTP errors (413, 408),
    ProblemError for a request without a credential (401), and ConnectionError for a client that disconnected.
    """
    failure = _of(request, entry, error)
    request[WHY] = str(failure.error)
    return failure


def _of(request: web.Request, entry: Entry | None, error: Exception) -> A2aFailure:
    agent = entry.agent.key if entry is not None else ""
    if isinstance(error, A2AError):
        return A2aFailure(error)
    if isinstance(error, BrokenError):
        return A2aFailure(
            A2AError(Problem.PARSE, f"The request cannot be read: {error}."), about={"Connection": "close"}
        )
    if isinstance(error, UnknownCodingError):
        return A2aFailure(A2AError(Problem.CONTENT_TYPE, f"The request cannot be read: {error}."), about=CODINGS)
    if isinstance(error, RevokedError):
        return A2aFailure(A2AError(Problem.PERMISSION_DENIED, f"The stream ends: {error}."))
    if isinstance(error, SealedValueError):
        log.warning("a2a_request.failed", agent=agent, error=str(error))
        said = f"The request cannot be served now: {error}."
        metadata = {"problem": PREFIX + UNREADABLE}
        return A2aFailure(A2AError(Problem.INTERNAL, said, metadata=metadata), again=503)
    if isinstance(error, TemporaryError):
        again = 429 if isinstance(error, EngineBusyError) else 503
        return A2aFailure(A2AError(Problem.INTERNAL, f"The request cannot be served now: {error}."), again=again)
    if isinstance(error, (web.HTTPException, ProblemError, ConnectionError)):
        raise error
    request.app[SERVICES].metrics.error("a2a")
    log.error("a2a_request.crashed", agent=agent, exc_info=error)
    return A2aFailure(A2AError(Problem.INTERNAL))
