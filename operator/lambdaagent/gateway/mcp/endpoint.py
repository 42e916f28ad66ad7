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
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, caching, cors, problems
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.mcp import handshake, tools
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.services import ROUTE, SERVICES, WHY
from lambdaagent.mcp import envelope
from lambdaagent.mcp.envelope import BadMessageError, Id, Message
from lambdaagent.mcp.protocol import SERVER_KEY, STATUS, Code, McpError
from lambdaagent.mcp.tools import Scope

log = structlog.get_logger(__name__)
_METHODS: Mapping[str, Callable[[McpCall], Awaitable[Json]]] = MappingProxyType(
    {
        "initialize": handshake.initialize,
        "ping": handshake.ping,
        "server/discover": handshake.discover,
        "tools/list": tools.listed,
        "tools/call": tools.called,
    }
)
METHODS = tuple(_METHODS)


async def platform(request: web.Request) -> web.Response:
    return await _serve(request, Scope())


async def of_namespace(request: web.Request) -> web.Response:
    return await _serve(request, Scope(request.match_info["namespace"]))


async def of_agent(request: web.Request, entry: Entry, _: str) -> web.Response:
    problems.require_method(request, "POST")
    return await _serve(request, Scope(*entry.key), entry)


async def _serve(request: web.Request, scope: Scope, entry: Entry | None = None) -> web.Response:
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
    if message.id is None:
        return web.Response(status=202)
    call = McpCall(request, services, scope, entry, message)
    try:
        method = _METHODS.get(message.method)
        if method is None:
            raise McpError(Code.METHOD_NOT_FOUND, f"There is no method {message.method[:64]!r}.")
        result = await method(call)
    except McpError as error:
        return _failed(request, message.id, error, modern=message.modern)
    answer = {"jsonrpc": "2.0", "id": message.id, "result": _complete(result, message)}
    return _answer(request, answer)


def _complete(result: Json, message: Message) -> Json:
    """Return the result with what each one of the revision 2026-07-28 has."""
    if not message.modern:
        return result
    meta = {**result.get("_meta", {}), SERVER_KEY: handshake.SERVER}
    return {"resultType": "complete", **result, "_meta": meta}


def _failed(request: web.Request, id_: Id | None, error: McpError, *, modern: bool) -> web.Response:
    request[WHY] = str(error)
    said: Json = {"code": int(error.code), "message": str(error)}
    if error.data is not None:
        said["data"] = error.data
    status = STATUS[error.code] if modern or error.code is Code.FORBIDDEN else 200
    return _answer(request, {"jsonrpc": "2.0", "id": id_, "error": said}, status=status)


def _answer(request: web.Request, answer: Json, *, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(answer),
        status=status,
        content_type=media_types.JSON,
        headers=caching.of_caller(request),
    )
