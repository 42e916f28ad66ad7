"""The A2A HTTP+JSON binding: 1.0 below the agent's endpoint, 0.3 below its `/v1`. Errors have their own HTTP status."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json, dialects, parsing, rest
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.rest import RestRoute
from lambdaagent.a2a.versions import Version
from lambdaagent.gateway.a2a import body_text, errors
from lambdaagent.gateway.a2a.errors import A2aFailure
from lambdaagent.gateway.a2a.operations import STREAMED, UNARY, OperationCall, prepare
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import caching, sse
from lambdaagent.gateway.services import ROUTE, SERVICES
from lambdaagent.tasks.requests import NOTHING_YET

_TYPES = (media_types.JSON, media_types.A2A_JSON)


async def serve(request: web.Request, entry: Entry, path: str) -> web.StreamResponse:
    """Serve a request. `path` is the part after the agent's endpoint."""
    version = Version.V1
    try:
        route = rest.match(path)
        version = route.version
        operation = route.operations.get(request.method)
        if operation is None:
            return _not_allowed(request, route)
        call = await prepare(request, entry, dialects.REST[version], operation, await _params(request, route))
        run = UNARY.get(operation)
        if run is not None:
            body, headers = orjson.dumps(await run(call)), caching.of_caller(request)
            return web.Response(body=body, content_type=_media_type(request), headers=headers)
        request[ROUTE] = "a2a-stream"
        return await _stream(request, call)
    except Exception as error:  # every error of the call is answered here
        return _answer(request, errors.of(request, entry, error), version=version)


async def _params(request: web.Request, route: RestRoute) -> Json:
    """Return the parameters from the query or the body; those in the path take precedence."""
    given: Json = dict(request.query)
    if request.method == "POST" and request.body_exists:
        if "Content-Type" in request.headers and request.content_type not in _TYPES:
            message = f"The content type {request.content_type[:100]!r} is not supported; send {media_types.JSON}."
            raise A2AError(Problem.CONTENT_TYPE, message)
        # Some clients send an empty body if the operation needs no parameters.
        if body := await body_text.json(request):
            value = parsing.parse(body)
            if not isinstance(value, dict):
                raise A2AError(Problem.INVALID_REQUEST, "The request's body must be a JSON object.")
            given = value
    given.update(route.ids)
    return given


async def _stream(request: web.Request, call: OperationCall) -> web.StreamResponse:
    async def frames() -> AsyncGenerator[bytes, None]:
        async with aclosing(STREAMED[call.operation](call)) as events:
            async for event in events:
                if event is NOTHING_YET:
                    yield sse.NOTHING
                else:
                    yield sse.frame(orjson.dumps(call.event(event)), id_=event.id)

    def broken(error: Exception) -> bytes:
        failure = errors.of(request, call.entry, error)
        return sse.frame(orjson.dumps(_body(request, failure, version=call.dialect.version)), event="error")

    allowed = authorization.standing(request, call.entry, call.operation, all_tasks=call.client.all_tasks)
    return await sse.write(request, frames(), owner=call.client.owner, broken=broken, allowed=allowed)


def _media_type(request: web.Request) -> str:
    sent = request.content_type if "Content-Type" in request.headers else ""
    return rest.media_type(accept=request.headers.get("Accept", ""), sent=sent)


def _answer(request: web.Request, failure: A2aFailure, *, version: Version) -> web.Response:
    return web.Response(
        status=_http(request, failure),
        body=orjson.dumps(_body(request, failure, version=version)),
        content_type=_media_type(request),
        headers={**caching.of_caller(request), **failure.headers},
    )


def _not_allowed(request: web.Request, route: RestRoute) -> web.Response:
    allowed = ", ".join(sorted(route.operations))
    error = A2AError(Problem.METHOD_NOT_FOUND, f"Use {allowed} here.")
    body = rest.error(error, http=405, version=route.version)
    headers = {"Allow": allowed}
    return web.Response(status=405, body=orjson.dumps(body), content_type=_media_type(request), headers=headers)


def _body(request: web.Request, failure: A2aFailure, *, version: Version) -> Json:
    http = _http(request, failure)
    return rest.error(failure.error, http=http, version=version, status=failure.status)


def _http(request: web.Request, failure: A2aFailure) -> int:
    return failure.again or failure.error.problem.value.http_of(request.app[SERVICES].config.errors)
