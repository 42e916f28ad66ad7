"""The principal of a request, from its one credential; it is set before the body is read.

Credentials are in headers, never in the URL, which proxies log. Invariant: a request whose principal was not
set is not served as anonymous: reading its principal fails.
"""

from aiohttp import web

from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.access.rules import Mode
from lambdaagent.containers import who_asks
from lambdaagent.gateway.access import auditing, challenges, limiting
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES, Services
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError

PRINCIPAL = web.RequestKey("principal", Principal)
KEY_HEADER = "X-API-Key"


async def authenticate(request: web.Request) -> Principal:
    """Set and return the principal. Raises ProblemError (400, 401, 429), IdentityUnavailableError."""
    known: Principal | None = request.get(PRINCIPAL)
    if known is not None:
        return known
    services = request.app[SERVICES]
    guard = services.guard
    if guard.state is None:
        principal = ANONYMOUS
    else:
        stated = _statement(request, guard) is not None
        if not stated:
            limiting.require_peer(services, request)
        try:
            principal = await _principal(request, services)
        except CredentialError as error:
            if stated:  # it is not of the gateway
                limiting.require_peer(services, request)
            limiting.count_refused(services, request)
            _refused(request, error.reason, str(error))
            if guard.mode is Mode.ENFORCE:
                raise challenges.unauthorized(request, error) from None
            principal = ANONYMOUS
        except (ProblemError, IdentityUnavailableError) as error:
            if guard.mode is Mode.ENFORCE:
                raise
            _refused(request, "unavailable", str(error))
            principal = ANONYMOUS
        limiting.require_principal(services, principal)
    request[PRINCIPAL] = principal
    return principal


async def _principal(request: web.Request, services: Services) -> Principal:
    guard = services.guard
    if guard.called is not None and (statement := _statement(request, guard)) is not None:
        return await guard.called(statement)
    given = credential(request)
    if given is None:
        return ANONYMOUS
    known = guard.known(given)
    if known is not None:
        return known
    limiting.require_few_refused(services, request)
    return await guard.principal(given)


def _statement(request: web.Request, guard: Guard) -> str | None:
    """Return what may be the gateway's statement about the caller, which counts in a sidecar only."""
    return request.headers.get(who_asks.HEADER) if guard.called is not None else None


def _refused(request: web.Request, reason: str, text: str) -> None:
    refused = Decision(False, f"credential.{reason}", text)
    auditing.record(request, ANONYMOUS, Action.DISCOVER, refused, code=401)


def credential(request: web.Request) -> str | None:
    """Return the request's one credential. Raises ProblemError (400) for two, CredentialError for another scheme."""
    headers = request.headers
    given, key = headers.get("Authorization"), headers.get(KEY_HEADER)
    if given is not None and key is not None:
        detail = f"The request has two credentials; send either Authorization or {KEY_HEADER}."
        raise ProblemError(400, "two-credentials", detail)
    if given is None:
        return key
    scheme, _, found = given.partition(" ")
    if scheme.lower() == "bearer" and found.strip():
        return found.strip()
    raise CredentialError("wrong-scheme", "The gateway accepts the scheme Bearer only.")
