"""The methods of the extension `coordination`: one table, by which the JSON-RPC endpoint of an agent answers them.

A method is a name in `a2a.extension_methods` and a row here; the card, the OpenAPI document and the reference follow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json, extension_methods, extensions, jsonrpc, versions
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.extension_methods import ExtensionMethod
from lambdaagent.a2a.jsonrpc import Envelope
from lambdaagent.access.actions import Action
from lambdaagent.coordination import agent_description, extension_errors, negotiation
from lambdaagent.coordination.extension_errors import ExtensionError, ExtensionProblem
from lambdaagent.gateway.a2a import errors
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards
from lambdaagent.gateway.services import WHY


@dataclass(frozen=True, slots=True)
class ExtensionCall:
    request: web.Request
    entry: Entry
    params: Json


@dataclass(frozen=True, slots=True)
class ExtensionRow:
    action: Action  # what the caller must be allowed to do with the agent
    run: Callable[[ExtensionCall], Awaitable[Json]]


async def answer(request: web.Request, entry: Entry, asked: Envelope) -> web.Response:
    """Answer a method of the extension. Raises what has no JSON-RPC error, as `errors.of`."""
    headers: dict[str, str] = {}
    try:
        versions.parse(request.headers.get(versions.HEADER))
        # 1.0 section 3.2.6: the response names the extensions that are in effect.
        if uris := extension_methods.own(extensions.asked(request.headers)):
            headers[extensions.HEADERS[0]] = ", ".join(uris)
        row = METHODS[ExtensionMethod(asked.method)]
        await authorization.require_method(request, entry, row.action)
        result = await row.run(ExtensionCall(request, entry, asked.named_params()))
        body = jsonrpc.result(asked.id, result)
        return web.Response(body=body, content_type=media_types.JSON, headers=headers)
    except ExtensionError as error:
        request[WHY] = str(error)
        return _failed(asked, error, status=200, headers=headers)
    except Exception as error:  # every error of the call is answered here
        failure = errors.of(request, entry, error)
        return _failed(asked, failure.error, status=failure.rpc_http, headers=headers | failure.headers)


def _failed(
    asked: Envelope, error: ExtensionError | A2AError, *, status: int, headers: Mapping[str, str]
) -> web.Response:
    body = jsonrpc.failed(asked.id, extension_errors.body(error))
    return web.Response(status=status, body=body, content_type=media_types.JSON, headers=headers)


def _card(call: ExtensionCall) -> Json:
    if not call.entry.discoverable:
        text = (
            f"The agent {call.entry.agent.key} has no card: discoveryEnabled is false. Its owner says how to call it."
        )
        raise ExtensionError(ExtensionProblem.NOT_DISCOVERABLE, text)
    return cards.latest(call.request, call.entry)


async def _discover(call: ExtensionCall) -> Json:
    return agent_description.describe(_card(call), agent_id=call.entry.agent.key, ready=call.entry.ready)


async def _negotiate(call: ExtensionCall) -> Json:
    proposal = negotiation.read(call.params)
    return negotiation.negotiate(_card(call), proposal)


METHODS: Mapping[ExtensionMethod, ExtensionRow] = {
    ExtensionMethod.DISCOVER: ExtensionRow(Action.DISCOVER, _discover),
    ExtensionMethod.NEGOTIATE: ExtensionRow(Action.DISCOVER, _negotiate),
}
