"""What clients learn about credentials: the metadata of a protected resource (RFC 9728), and the schemes of cards.

The metadata are the same for every agent, whether it exists or not, so they tell nobody which agents there are.
"""

import re

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a.security import Kind, SecurityScheme
from lambdaagent.access.installation import Installation
from lambdaagent.gateway.access.authentication import KEY_HEADER
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_RESOURCE = re.compile(r"(?:/agents/[a-z0-9-]{1,63}/[a-z0-9-]{1,63}(?:/mcp)?|/mcp(?:/[a-z0-9-]{1,63})?)?/?")
_CACHE = {"Cache-Control": "public, max-age=60"}


async def protected_resource(request: web.Request) -> web.Response:
    """Answer with the metadata of the gateway or of an agent, by the path behind the well-known one."""
    path = request.match_info.get("resource", "")
    state = request.app[SERVICES].guard.state
    if state is None or not _RESOURCE.fullmatch(path):
        raise ProblemError(404, "unknown-path", "There is no protected resource of this path.")
    document: dict[str, object] = {
        "resource": urls.base(request) + path.rstrip("/"),
        "bearer_methods_supported": ["header"],
        "resource_name": "LambdaAgent",
    }
    if servers := [issuer.issuer for issuer in state.installation.issuers]:
        document["authorization_servers"] = servers
    return web.Response(body=orjson.dumps(document), content_type=media_types.JSON, headers=_CACHE)


def schemes(installation: Installation, *, cluster: bool) -> tuple[SecurityScheme, ...]:
    """Return the schemes that cards show. `cluster` is whether ServiceAccounts' tokens are accepted."""
    found = []
    for issuer in installation.issuers:
        discovered = f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration"
        described = f"A token of {issuer.issuer} for the audience {issuer.audiences[0]}"
        if issuer.jwks and not issuer.issuer.startswith("https://"):
            found.append(SecurityScheme(issuer.name, Kind.BEARER, description=described))
        else:
            found.append(SecurityScheme(issuer.name, Kind.OPEN_ID_CONNECT, discovered, described))
    if cluster and installation.kubernetes.enabled:
        audience = installation.kubernetes.audiences[0]
        described = f"A token of a ServiceAccount of the cluster for the audience {audience}"
        found.append(SecurityScheme("serviceAccount", Kind.BEARER, description=described))
    if installation.api_keys:
        found.append(SecurityScheme("apiKey", Kind.API_KEY, KEY_HEADER))
    if installation.hmac:
        found.append(SecurityScheme("hmacToken", Kind.BEARER, description="A token of the installation"))
    return tuple(found)
