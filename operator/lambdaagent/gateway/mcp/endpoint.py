"""The endpoint of each scope (Streamable HTTP): one POST, one message, one response. No session is kept.

Clients of the revision 2026-07-28 and those that begin with a handshake are told apart by each message, so any replica
answers any of them. Errors of the protocol are JSON-RPC errors; what goes wrong at an agent is a result that says so.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import orjson
import structlog
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.access.rules import Mode
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, caching, cors, problems
from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.mcp import completion, forwarded, handshake, listening, resources, tasks, tools
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import questions, tool_call
from lambdaagent.gateway.services import ROUTE, SERVICES, WHY, Services
from lambdaagent.mcp import envelope
from lambdaagent.mcp.envelope import BadMessageError, Id, Message, Reply
from lambdaagent.mcp.protocol import HANDSHAKE, STATUS, Code, McpError
from lambdaagent.mcp.tools import Scope

log = structlog.get_logger(__name__)
_Method = Callable[[McpCall], Awaitable[Json | web.StreamResponse]]
_OF_BOTH: Mapping[str, _Method] = {
    "tools/list": tools.listed,
    "tools/call": tool_call.called,
    "resources/list": resources.listed,
    "resources/templates/list": resources.templates,
    "resources/read": resources.read,
    "completion/complete": completion.complete,
}
_MODERN: Mapping[str, _Method] = MappingProxyType(
    {
        **_OF_BOTH,
        "server/discover": handshake.discover,
        "tasks/get": tasks.get,
        "tasks/update": tasks.update,
        "tasks/cancel": tasks.cancel,
        "subscriptions/listen": listening.listen,
    }
)
_HANDSHAKE: Mapping[str, _Method] = MappingProxyType(
    {
        **_OF_BOTH,
        "initialize": handshake.initialize,
        "ping": handshake.ping,
        "logging/setLevel": handshake.set_level,
        "resources/subscribe": resources.subscribed,
        "resources/unsubscribe": resources.subscribed,
    }
)


async def platform(request: web.Request) -> web.StreamResponse:
    return await _serve(request, Scope())


async def of_namespace(request: web.Request) -> web.StreamResponse:
    return await _serve(request, Scope(request.match_info["namespace"]))


async def of_agent(request: web.Request, entry: Entry, _: str) -> web.StreamResponse:
    problems.require_method(request, "POST")
    return await _serve(request, Scope(*entry.key), entry)


async def _serve(request: web.Request, scope: Scope, entry: Entry | None = None) -> web.StreamResponse:
    request[ROUTE] = "mcp"
    services = request.app[SERVICES]
    origin = request.headers.get("Origin")
    if origin is not None and not cors.is_allowed(services, origin):
        raise ProblemError(403, "foreign-origin", "This gateway serves no pages of this origin; see cors.origins.")
    if entry is None and request[PRINCIPAL].anonymous and services.guard.mode is Mode.ENFORCE:
        raise challenges.unauthorized(request)  # by it, a host learns where to get a token
    try:
        body = await bodies.whole(request)
        message = envelope.read(body, {name: request.headers.getall(name, ()) for name in envelope.ROUTING})
    except BadMessageError as error:
        return _failed(request, error.id, error, modern=True)
    if isinstance(message, Reply):
        return await _replied(request, services, scope, entry, message)
    if message.id is None:
        return web.Response(status=202)
    call = McpCall(request, services, scope, entry, message)
    try:
        method = forwarded.method(call) or (_MODERN if message.modern else _HANDSHAKE).get(message.method)
        if method is None:
            raise McpError(Code.METHOD_NOT_FOUND, f"There is no method {message.method[:64]!r}.")
        result = await method(call)
    except Exception as error:  # every error of the call is answered here
        return _failed(request, message.id, error, modern=message.modern)
    return result if isinstance(result, web.StreamResponse) else _answer(request, call.response(result))


async def _replied(
    request: web.Request, services: Services, scope: Scope, entry: Entry | None, reply: Reply
) -> web.Response:
    message = Message(reply.id, "", {}, HANDSHAKE[-1], modern=False, capabilities={})
    try:
        await questions.replied(McpCall(request, services, scope, entry, message), reply)
    except McpError:
        pass  # a response has no response: one to what was never asked, or is over, is as if it had not come
    except Exception as error:  # likewise answered here
        return _failed(request, reply.id, error, modern=True)
    return web.Response(status=202)


def _failed(request: web.Request, id_: Id | None, error: Exception, *, modern: bool) -> web.Response:
    """Raises the errors that the errors middleware answers: those of HTTP, and a missing credential."""
    headers: Mapping[str, str] = {}
    if isinstance(error, McpError):
        told = error
        status = STATUS[error.code] if modern or error.code is Code.FORBIDDEN else 200
    elif isinstance(error, A2AError):
        forbidden = error.problem is Problem.PERMISSION_DENIED
        told = McpError(Code.FORBIDDEN if forbidden else Code.INVALID_PARAMS, str(error))
        status = 403 if forbidden else 400 if modern else 200
    elif isinstance(error, TemporaryError):
        told, status, headers = McpError(Code.INTERNAL_ERROR, f"Not possible now: {error}."), 503, RETRY_AFTER
    else:
        raise error
    request[WHY] = str(told)
    body = {"jsonrpc": "2.0", "id": id_, "error": told.body()}
    return _answer(request, body, status=status, headers=headers)


def _answer(
    request: web.Request, answer: Json, *, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    return web.Response(
        body=orjson.dumps(answer),
        status=status,
        content_type=media_types.JSON,
        headers={**caching.of_caller(request), **headers},
    )
