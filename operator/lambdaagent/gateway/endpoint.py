"""The A2A JSON-RPC endpoint: 1.0 and 0.3 by method name, errors in the protocol's own form.

JSON-RPC errors are HTTP 200 (facts 1.2); only what a client should simply send again is a 503 with the same body, so
that proxies and HTTP clients see it too.
"""

import structlog
from aiohttp import web

from lambdaagent.a2a import Json, jsonrpc, params, v03, versions
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.jsonrpc import BUILT, Operation, Request, RequestError
from lambdaagent.a2a.versions import Version
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway import methods, tracing
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.problems import RETRY_AFTER
from lambdaagent.gateway.services import SERVICES
from lambdaagent.tasks.contract import Client

log = structlog.get_logger(__name__)
_JSON = "application/json"


async def serve(request: web.Request, entry: Entry) -> web.Response:
    methods.require(request, "POST")
    id_: jsonrpc.Id = None
    try:
        # Before the body is parsed: it is then not JSON, and the client is to learn why (facts 2.4).
        if "Content-Type" in request.headers and request.content_type != _JSON:
            message = f"The content type {request.content_type[:100]!r} is not supported; send {_JSON}."
            raise A2AError(Problem.CONTENT_TYPE, message)
        call = jsonrpc.parse(await request.read())
        id_ = call.id
        result = await _serve(request, entry, call)
        return web.Response(body=jsonrpc.result(id_, result), content_type=_JSON)
    except RequestError as error:
        return _error(error.id, error)
    except A2AError as error:
        return _error(id_, error)
    except TemporaryError as error:
        response = _error(id_, A2AError(Problem.INTERNAL, f"This cannot be done now: {error}."), status=503)
        response.headers.update(RETRY_AFTER)
        return response
    except (web.HTTPException, ConnectionError):
        raise  # 413, and a client that went away
    except Exception:  # the root of the call
        request.app[SERVICES].metrics.error("a2a")
        log.exception("a2a.crashed", agent=entry.agent.key)
        return _error(id_, A2AError(Problem.INTERNAL))


async def _serve(request: web.Request, entry: Entry, call: Request) -> Json:
    said = request.headers.get(versions.HEADER)
    if said is None and versions.HEADER in request.query_string:
        said = request.query.get(versions.HEADER)
    versions.parse(said)
    versions.require(call.version, offered=entry.offered)
    if call.operation not in BUILT:
        raise jsonrpc.unsupported(call.operation)
    tasks = request.app[SERVICES].tasks
    old = call.version is Version.V03
    if call.operation is Operation.GET:
        task = await tasks.get(entry.callee, params.get(call.params))
        return v03.downgrade_task(task) if old else task
    message = params.send(v03.upgrade_send(call.params) if old else call.params)
    if not entry.ready:
        raise NotReadyError(f"the agent {entry.agent.key} cannot be called: {entry.why_not}")
    task = await tasks.send(entry.callee, message, client=Client(traceparent=tracing.parent(request)))
    return v03.downgrade_task(task) if old else {"task": task}


class NotReadyError(TemporaryError):
    """No container to call yet."""


def _error(id_: jsonrpc.Id, error: A2AError, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=jsonrpc.error(id_, error), content_type=_JSON)
