"""Refusals for want of a credential or a right: 401 with a challenge, 403, and 404 for what the caller may not know of.

An agent that is not there and one that the caller may not see get the same response, so that nobody learns of agents
by guessing. RFC 6750 section 3 and RFC 9728 section 5.1 describe the challenge.
"""

import re

from aiohttp import web

from lambdaagent.a2a import well_known
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.identity.errors import CredentialError

_REALM = "lambdaagent"
_RESOURCE = re.compile(
    r"(?:/agents/[a-z0-9-]{1,63}/[a-z0-9-]{1,63}(?:/mcp(?=/?\Z))?|/mcp(?:/[a-z0-9-]{1,63})?)(?=/|\Z)"
)


def unauthorized(request: web.Request, error: CredentialError | None = None) -> ProblemError:
    """Return the 401 for a refused credential, or for none."""
    challenge = f'Bearer realm="{_REALM}"'
    if error is not None:
        challenge += f', error="invalid_token", error_description="{_quotable(str(error))}"'
    challenge += f', resource_metadata="{metadata_url(request)}"'
    detail = str(error) if error is not None else "The request needs a credential, in the header Authorization."
    kind = "invalid-credential" if error is not None else "no-credential"
    return ProblemError(401, kind, detail, headers={"WWW-Authenticate": challenge})


def metadata_url(request: web.Request) -> str:
    """Return where the client learns how to get a token; it depends on the request alone, whatever exists."""
    return urls.base(request) + well_known.PROTECTED_RESOURCE + resource_path(request.path)


def resource_path(path: str) -> str:
    """Return the path of the agent that a path is below, or nothing: the client chooses it, and it is in a header."""
    found = _RESOURCE.match(path)
    return found[0] if found is not None else ""


def _quotable(text: str) -> str:
    return "".join(each for each in text if each not in '"\\' and " " <= each <= "~")
