"""The middlewares of every request. Outermost first: metrics, errors, host routing."""

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from lambdaagent import log_context
from lambdaagent.broker.errors import BlockedError, EventTooLargeError
from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.events.errors import EventError, TooManyError
from lambdaagent.gateway import agent_routes
from lambdaagent.gateway.directory import MisdirectedError
from lambdaagent.gateway.http import bodies, problems, request_id, urls
from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.services import ENTRY, ROUTE, SERVICES, WHY
from lambdaagent.httpclient.codings import UnknownCodingError

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
    except ProblemError as problem:
        answer = problem
    except web.HTTPRequestEntityTooLarge:
        limit = request.app[SERVICES].max_body
        answer = ProblemError(413, "body-too-large", f"The body is over the limit of {limit} bytes.")
    except bodies.TooSlowError:
        # The rest of the body is not read, so the connection cannot be reused.
        answer = ProblemError(408, "body-too-slow", "The body did not arrive in time.", headers={"Connection": "close"})
    except bodies.BrokenError as error:
        answer = problems.broken_body(error)
    except UnknownCodingError as error:
        answer = problems.unknown_coding(error)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        kind = error.reason.lower().replace(" ", "-")
        answer = ProblemError(error.status, kind, f"{request.method} {request.path}: {error.reason}.", headers=headers)
    except TooManyError as error:
        answer = ProblemError(413, "event-too-large", f"{str(error)[:1].upper()}{str(error)[1:]}.")
    except EventError as error:
        members = {"attribute": error.attribute} if error.attribute else {}
        answer = ProblemError(400, "bad-event", f"{str(error)[:1].upper()}{str(error)[1:]}.", members=members)
    except BlockedError as error:
        answer = ProblemError(429, "broker-full", f"The broker accepts no events now: {error}.", headers=RETRY_AFTER)
    except EventTooLargeError as error:
        answer = ProblemError(413, "event-too-large", f"{str(error)[:1].upper()}{str(error)[1:]}.")
    except TemporaryError as error:
        log.warning("request.failed", route=request.get(ROUTE), status=503, error=str(error))
        answer = ProblemError(503, "unavailable", f"The request cannot be served now: {error}.", headers=RETRY_AFTER)
    except LambdaAgentError as error:
        log.warning("request.failed", route=request.get(ROUTE), status=500, error=str(error))
        answer = ProblemError(500, "failed", f"The request cannot be served: {error}.")
    except ConnectionError:
        raise  # The client disconnected; aiohttp closes the connection.
    except Exception:  # an unexpected error of any handler
        request.app[SERVICES].metrics.error("request")
        log.exception("request.crashed", route=request.get(ROUTE))
        answer = ProblemError(500, "internal-error", "The gateway failed to serve the request; see its log.")
    request[WHY] = str(answer)
    return answer.response(request_id=request_id.request_id(request))


@web.middleware
async def hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A host that names an agent serves that agent at its root."""
    services = request.app[SERVICES]
    try:
        entry = services.directory.by_host(urls.said_host(request, services))
    except MisdirectedError as error:
        request[ROUTE] = "misdirected"
        raise ProblemError(
            421,
            "misdirected-request",
            f"This host name lacks its namespace; use {' or '.join(error.names)}.",
            members={"hosts": error.names},
        ) from None
    if entry is None:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            services.directory.require_listed()  # the host may name an agent that is not listed yet
            raise
    request[ENTRY] = entry
    return await agent_routes.serve(request, entry, request.path)
