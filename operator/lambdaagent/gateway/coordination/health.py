"""`/a2a/health`: how many agents, messages, jobs and so on there are, for whoever runs the installation.

Numbers of the whole installation tell of others' work, so only administrators get them; the rest learn whether
coordination works.
"""

from aiohttp import web

from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination.requests import answer, coordination
from lambdaagent.gateway.services import SERVICES


async def health(request: web.Request) -> web.Response:
    """Return 200 once the database answers; StoreError becomes 503."""
    parts = coordination(request)
    counted = {
        "agents": await parts.registry.counts(),
        "deliveries": await parts.messages.depths(),
        "contexts": await parts.contexts.count(),
        "sessions": await parts.sessions.counts(),
        "proposals": await parts.proposals.counts(),
        "jobs": await parts.jobs.counts(),
    }
    if not request.app[SERVICES].guard.is_admin(request[PRINCIPAL]):
        return answer(request, {"status": "ok"})
    return answer(request, {"status": "ok", **counted})
