"""The methods of the extension `coordination`: one table, by which the JSON-RPC endpoint of an agent answers them.

A method is a name in `a2a.extension_methods` and a row here; the card, the OpenAPI document and the reference follow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json, extension_methods, extensions, jsonrpc, versions
from lambdaagent.a2a.extension_methods import ExtensionMethod
from lambdaagent.a2a.jsonrpc import Envelope
from lambdaagent.access.actions import Action
from lambdaagent.coordination import agent_description, extension_errors, negotiation
from lambdaagent.coordination.extension_errors import ExtensionError, ExtensionProblem
from lambdaagent.gateway.a2a import errors
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.coordination import methods
from lambdaagent.gateway.coordination.methods import ExtensionCall
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import WHY

_HTTP = (403, 429, 503)  # statuses that the response has too, as the errors of A2A's methods have them


@dataclass(frozen=True, slots=True)
class ExtensionRow:
    action: Action
    run: Callable[[ExtensionCall], Awaitable[Json]]
    of_agent: bool = False  # whether the caller must be allowed the action with the agent; else `run` checks it


async def answer(request: web.Request, entry: Entry | None, asked: Envelope) -> web.Response:
    """Answer a method of the extension. Raises what has no JSON-RPC error, as `errors.of`."""
    headers: dict[str, str] = {}
    try:
        versions.parse(request.headers.get(versions.HEADER))
        # 1.0 section 3.2.6: the response names the extensions that are in effect.
        if uris := extension_methods.own(extensions.asked(request.headers)):
            headers[extensions.HEADERS[0]] = ", ".join(uris)
        row = METHODS[ExtensionMethod(asked.method)]
        call = ExtensionCall(request, entry, asked.named_params())
        if row.of_agent:
            await authorization.require_method(request, call.agent, row.action)
        result = await row.run(call)
        body = jsonrpc.result(asked.id, result)
        return web.Response(body=body, content_type=media_types.JSON, headers=headers)
    except ExtensionError as error:
        request[WHY] = str(error)
        return _failed(asked, extension_errors.body(error), status=200, headers=headers)
    except ProblemError as error:
        if error.status == 401:
            raise  # the middleware writes the challenge
        request[WHY] = str(error)
        said = extension_errors.of_problem(error.status, error.kind, str(error))
        status = error.status if error.status in _HTTP else 200
        return _failed(asked, said, status=status, headers=headers | error.headers)
    except Exception as error:  # every error of the call is answered here
        failure = errors.of(request, entry, error)
        said = extension_errors.body(failure.error)
        return _failed(asked, said, status=failure.rpc_http, headers=headers | failure.headers)


def _failed(asked: Envelope, error: Json, *, status: int, headers: Mapping[str, str]) -> web.Response:
    body = jsonrpc.failed(asked.id, error)
    return web.Response(status=status, body=body, content_type=media_types.JSON, headers=headers)


def _card(call: ExtensionCall) -> Json:
    if not call.agent.discoverable:
        text = f"The agent {call.agent.agent_id} has no card: discoveryEnabled is false. Its owner says how to call it."
        raise ExtensionError(ExtensionProblem.NOT_DISCOVERABLE, text)
    return cards.latest(call.request, call.agent)


async def _discover(call: ExtensionCall) -> Json:
    return agent_description.describe(_card(call), agent_id=call.agent.agent_id, ready=call.agent.ready)


async def _negotiate(call: ExtensionCall) -> Json:
    proposal = negotiation.read(call.params)
    return negotiation.negotiate(_card(call), proposal)


METHODS: Mapping[ExtensionMethod, ExtensionRow] = {
    ExtensionMethod.DISCOVER: ExtensionRow(Action.DISCOVER, _discover, of_agent=True),
    ExtensionMethod.NEGOTIATE: ExtensionRow(Action.DISCOVER, _negotiate, of_agent=True),
    ExtensionMethod.REGISTER: ExtensionRow(Action.REGISTER, methods.register),
    ExtensionMethod.HEARTBEAT: ExtensionRow(Action.REGISTER, methods.heartbeat),
    ExtensionMethod.SEND: ExtensionRow(Action.INVOKE, methods.send),
    ExtensionMethod.CONTEXT_GET: ExtensionRow(Action.COORDINATE, methods.get_context),
    ExtensionMethod.CONTEXT_PATCH: ExtensionRow(Action.COORDINATE, methods.patch_context),
    ExtensionMethod.PROPOSE: ExtensionRow(Action.COORDINATE, methods.propose),
    ExtensionMethod.VOTE: ExtensionRow(Action.COORDINATE, methods.vote),
}
