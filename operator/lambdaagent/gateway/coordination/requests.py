"""What the endpoints for coordination share: bodies, the caller as an agent, answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.access.rules import Mode
from lambdaagent.coordination import bodies as models
from lambdaagent.coordination.bodies import BadBodyError, Body
from lambdaagent.gateway.access import challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.http import bodies, caching
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

if TYPE_CHECKING:
    from lambdaagent.gateway.coordination.parts import Coordination

Model = TypeVar("Model", bound=Body)
LARGEST = 1024 * 1024
"""Bytes of a body: what is looked at as a whole must not hold the loop."""


def coordination(request: web.Request) -> "Coordination":
    found = request.app[SERVICES].coordination
    if found is None:
        raise ProblemError(
            404, "no-coordination", "This gateway serves one agent only; ask the installation's gateway."
        )
    return found


def loaded(sent: bytes) -> Any:
    """Return a body as JSON. Raises ProblemError (413), BadBodyError."""
    if len(sent) > LARGEST:
        raise ProblemError(413, "body-too-large", f"The body has {len(sent)} bytes of at most {LARGEST}.")
    return models.loads(sent)


async def body(request: web.Request, model: type[Model]) -> Model:
    """Raises ProblemError (400)."""
    return read(model, await bodies.whole(request))


def parameters(model: type[Model], given: Json) -> Model:
    """Return the parameters of a JSON-RPC method or of a tool, which are held to the same bounds as a body.

    Raises ProblemError (400).
    """
    return read(model, orjson.dumps(given))


def read(model: type[Model], sent: bytes) -> Model:
    """Raises ProblemError (400)."""
    try:
        return models.read(model, loaded(sent))
    except BadBodyError as error:
        raise ProblemError(400, "bad-body", f"The body is refused: {error}.") from None


def require_identity(request: web.Request) -> str:
    """Return the caller's name, the owner of what it creates. Raises ProblemError (401) without a credential."""
    principal = request[PRINCIPAL]
    if principal.anonymous and request.app[SERVICES].guard.mode is Mode.ENFORCE:
        raise challenges.unauthorized(request)
    return principal.name


def answer(
    request: web.Request, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    sent = caching.of_caller(request) | dict(headers or {})
    return web.Response(status=status, body=orjson.dumps(value), content_type=media_types.JSON, headers=sent)
