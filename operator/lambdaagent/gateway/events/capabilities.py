"""Who may use an event URL: whoever holds its last segment, where keys are configured (design section 4)."""

from aiohttp import web

from lambdaagent.events import capability
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES


def require(request: web.Request, *, use: capability.Use, agent: str) -> None:
    """The same answer for a missing, a wrong and another agent's segment, and it does not repeat what was sent."""
    keys = request.app[SERVICES].keys
    if not keys:
        return
    segment = request.match_info.get("capability", "")
    namespace = request.match_info["namespace"]
    if not capability.verify(segment, keys=keys, namespace=namespace, use=use, agent=agent):
        raise ProblemError(403, "bad-capability", "This event URL does not end in a capability that is valid for it.")
