"""The middlewares of every request. Outermost first: metrics, errors, (local_only), CORS, host routing."""

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from lambdaagent import log_context
from lambdaagent.a2a import well_known
from lambdaagent.api import naming
from lambdaagent.broker.errors import BlockedError, EventTooLargeError
from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.events.errors import EventError, TooManyError
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import MisdirectedError
from lambdaagent.gateway.discovery import ard
from lambdaagent.gateway.events.errors import BrokerNotReadyError, UnknownBrokerError
from lambdaagent.gateway.http import bodies, problems, request_id, request_target, urls
from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.routes import agent_routes
from lambdaagent.gateway.services import ENTRY, ROUTE, SERVICES, WHY
from lambdaagent.httpclient.codings import UnknownCodingError
from lambdaagent.store.errors import SealedValueError
from lambdaagent.tasks.errors import EngineBusyError

log = structlog.get_logger(__name__)
CLIENT_GONE = 499  # for metrics and failure reports; it is never sent


@web.middleware
async def metrics(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    code = CLIENT_GONE
    log_context.request(request_id.request_id(request), traceparent=request.headers.get("traceparent"))
    try:
        response = await handler(request)
        code = response.status
        if not response.prepared:
            request_id.say(request, response)
        return response
    finally:
        route = request.get(ROUTE, "other")
        services, why = request.app[SERVICES], request.get(WHY, "")
        services.metrics.request(route, code, time.perf_counter() - began)
        if why or code >= 400:
            services.failed(request, code, why or ("the client went away" if code == CLIENT_GONE else ""))


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a problem document. An unexpected error is logged under the request's id."""
    try:
        return await handler(request)
    except ConnectionError:
        raise  # The client disconnected; aiohttp closes the connection.
    except Exception as error:  # an unexpected error of any handler too
        answer = ard.coded(_problem(request, error), request.path)
    request[WHY] = str(answer)
    return answer.response(request_id=request_id.request_id(request))


def _problem(request: web.Request, error: Exception) -> ProblemError:
    found = _refusal(request, error)
    if found is not None:
        return found
    if isinstance(error, TemporaryError):
        log.warning("request.failed", route=request.get(ROUTE), status=503, error=str(error))
        return ProblemError(503, "unavailable", f"The request cannot be served now: {error}.", headers=RETRY_AFTER)
    if isinstance(error, LambdaAgentError):
        log.warning("request.failed", route=request.get(ROUTE), status=500, error=str(error))
        return ProblemError(500, "failed", f"The request cannot be served: {error}.")
    request.app[SERVICES].metrics.error("request")
    log.error("request.crashed", route=request.get(ROUTE), exc_info=error)
    return ProblemError(500, "internal-error", "The gateway failed to serve the request; see its log.")


def _refusal(request: web.Request, error: Exception) -> ProblemError | None:
    """Return the answer to an error that a client or the state of a Broker causes; None for any other error."""
    match error:
        case ProblemError():
            return error
        case web.HTTPRequestEntityTooLarge():
            limit = request.app[SERVICES].config.max_body
            return ProblemError(413, "body-too-large", f"The body is over the limit of {limit} bytes.")
        case bodies.TooSlowError():
            # The rest of the body is not read, so the connection cannot be reused.
            close = {"Connection": "close"}
            return ProblemError(408, "body-too-slow", "The body did not arrive in time.", headers=close)
        case bodies.BrokenError():
            return problems.broken_body(error)
        case UnknownCodingError():
            return problems.unknown_coding(error)
        case web.HTTPException():
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            kind = error.reason.lower().replace(" ", "-")
            return ProblemError(
                error.status, kind, f"{request.method} {request.path}: {error.reason}.", headers=headers
            )
        case TooManyError() | EventTooLargeError():
            return ProblemError(413, "event-too-large", _sentence(error))
        case EventError():
            members = {"attribute": error.attribute} if error.attribute else {}
            return ProblemError(400, "bad-event", _sentence(error), members=members)
        case UnknownBrokerError():
            return ProblemError(404, "unknown-broker", _sentence(error), members={"known": error.known})
        case BrokerNotReadyError():
            return ProblemError(503, "broker-not-ready", _sentence(error), headers=RETRY_AFTER)
        case SealedValueError():
            log.warning("request.failed", route=request.get(ROUTE), status=503, error=str(error))
            return ProblemError(503, problems.UNREADABLE, f"The request cannot be served now: {error}.")
        case EngineBusyError():
            return ProblemError(429, "agent-busy", f"The request cannot be served now: {error}.", headers=RETRY_AFTER)
        case BlockedError():
            return ProblemError(429, "broker-full", f"The broker accepts no events now: {error}.", headers=RETRY_AFTER)
    return None


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


async def _misdirected(request: web.Request, error: MisdirectedError) -> None:
    """Raises ProblemError (421) with the names of the agents that the caller may know of, if there are any."""
    names = [name for name, entry in error.names.items() if await authorization.seen(request, entry) is not None]
    if names:
        request[ROUTE] = "misdirected"
        detail = f"This host name lacks its namespace; use {' or '.join(names)}."
        raise ProblemError(421, "misdirected-request", detail, members={"hosts": names})


@web.middleware
async def hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A host that names an agent serves that agent at its root. Refuses a request that others may read differently."""
    request_target.require_plain(request)
    if request.path.startswith(well_known.PROTECTED_RESOURCE):
        return await handler(request)  # on every host: it tells how to get a credential
    services = request.app[SERVICES]
    host = urls.said_host(request, services)
    try:
        entry = services.directory.by_host(host)
    except MisdirectedError as error:
        await _misdirected(request, error)
        entry = None  # to this caller the name is one that nobody has
    if not services.guard.off and naming.may_be_host_of_agent(host):
        entry = await authorization.seen(request, entry, asked=naming.host_of_agent(host))
    if entry is None:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            services.directory.require_listed()  # the host may name an agent that is not listed yet
            raise
    request[ENTRY] = entry
    return await agent_routes.serve(request, entry, request.path)
