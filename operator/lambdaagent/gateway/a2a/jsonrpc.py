"""The A2A JSON-RPC endpoint. The method name selects version 1.0 or 0.3; errors are JSON-RPC errors.

They have HTTP status 200, except those that proxies and HTTP clients must recognize: 403 if the caller may not do this,
and 429 or 503 if it should send the same request again. Their body is a JSON-RPC error too.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import dialects, jsonrpc
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.extension_methods import NAMES
from lambdaagent.a2a.jsonrpc import Envelope, Request, RequestError
from lambdaagent.a2a.versions import Version
from lambdaagent.gateway.a2a import body_text, errors, extension_calls
from lambdaagent.gateway.a2a.errors import A2aFailure
from lambdaagent.gateway.a2a.operations import STREAMED, UNARY, OperationCall, prepare
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import problems, sse
from lambdaagent.gateway.services import ROUTE, WHY
from lambdaagent.tasks.requests import NOTHING_YET


async def serve(request: web.Request, entry: Entry, _path: str) -> web.StreamResponse:
    problems.require_method(request, "POST")
    asked: Request | None = None
    try:
        envelope = await _envelope(request)
        if envelope.method in NAMES:
            return await extension_calls.answer(request, entry, envelope)
        asked = jsonrpc.of_a2a(envelope)
        call = await prepare(request, entry, dialects.RPC[asked.version], asked.operation, asked.params)
        run = UNARY.get(asked.operation)
        if run is not None:
            return web.Response(body=jsonrpc.result(asked.id, await run(call)), content_type=media_types.JSON)
        request[ROUTE] = "a2a-stream"
        return await _stream(request, call, asked.id)
    except RequestError as error:
        request[WHY] = str(error)
        return _answer(error.id, A2aFailure(error))
    except Exception as error:  # every error of the call is answered here
        failure = errors.of(request, entry, error)
        if asked is not None and _wants_events(request, asked) and failure.rpc_http == 200:
            return sse.single(request, jsonrpc.error(asked.id, failure.error))
        return _answer(asked.id if asked is not None else None, failure)


async def without_agent(request: web.Request) -> web.Response:
    """Answer a method of the extension for which the request names no agent."""
    try:
        return await extension_calls.answer(request, None, await _envelope(request))
    except RequestError as error:
        request[WHY] = str(error)
        return _answer(error.id, A2aFailure(error))
    except Exception as error:  # every error of the call is answered here
        return _answer(None, errors.of(request, None, error))


async def _envelope(request: web.Request) -> Envelope:
    # Checked before the body is parsed, so that the client gets this error and not that of a body that is not JSON.
    if "Content-Type" in request.headers and request.content_type != media_types.JSON:
        message = f"The content type {request.content_type[:100]!r} is not supported; send {media_types.JSON}."
        raise A2AError(Problem.CONTENT_TYPE, message)
    return jsonrpc.read(await body_text.json(request))


async def _stream(request: web.Request, call: OperationCall, id_: jsonrpc.Id) -> web.StreamResponse:
    async def frames() -> AsyncGenerator[bytes, None]:
        async with aclosing(STREAMED[call.operation](call)) as events:
            async for event in events:
                if event is NOTHING_YET:
                    yield sse.NOTHING
                else:
                    yield sse.frame(jsonrpc.result(id_, call.event(event)), id_=event.id)

    def broken(error: Exception) -> bytes:
        return sse.frame(jsonrpc.error(id_, errors.of(request, call.entry, error).error))

    allowed = authorization.standing(request, call.entry, call.operation, all_tasks=call.client.all_tasks)
    return await sse.write(request, frames(), owner=call.client.owner, broken=broken, allowed=allowed)


def _wants_events(request: web.Request, asked: Request) -> bool:
    """Return whether the response must be events. Clients of 0.3 accept only events from a streaming method, also for
    an error.
    """
    accepted = request.headers.get("Accept", "")
    return asked.version is Version.V03 and asked.operation.streamed and media_types.EVENT_STREAM in accepted


def _answer(id_: jsonrpc.Id, failure: A2aFailure) -> web.Response:
    body = jsonrpc.error(id_, failure.error)
    return web.Response(status=failure.rpc_http, body=body, content_type=media_types.JSON, headers=failure.headers)
