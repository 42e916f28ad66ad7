"""Access to event URLs: if keys are configured, the last segment of the URL must be a capability."""

from aiohttp import web

from lambdaagent.events import capability
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES


def require(request: web.Request, *, use: capability.Use, agent: str) -> None:
    """Raises ProblemError (403), the same for a missing, an invalid and another agent's capability.

    The response does not repeat the segment.
    """
    keys = request.app[SERVICES].config.keys
    if not keys:
        return
    segment = request.match_info.get("capability", "")
    namespace = request.match_info["namespace"]
    if not capability.verify(segment, keys=keys, namespace=namespace, use=use, agent=agent):
        raise refusal()


def refusal() -> ProblemError:
    return ProblemError(403, "bad-capability", "This event URL does not end in a capability that is valid for it.")
