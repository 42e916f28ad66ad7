"""Records the decisions about requests in the audit log and the metrics."""

from aiohttp import web

from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import Principal
from lambdaagent.gateway.access.audit import Asked
from lambdaagent.gateway.http import peers, request_id, tracing
from lambdaagent.gateway.services import SERVICES

_SKILL = 64


def record(
    request: web.Request,
    principal: Principal,
    action: Action,
    decision: Decision,
    *,
    namespace: str = "",
    name: str = "",
    skill: str = "",
    code: int,
) -> None:
    """`code` is the status of a denial, 0 of what was allowed."""
    services = request.app[SERVICES]
    services.metrics.decided(decision.allowed, decision.rule)
    audit = services.guard.audit
    if audit is None:
        return
    trace = tracing.parent(request)
    asked = Asked(
        request_id.request_id(request),
        peers.peer(request),
        action,
        namespace,
        name,
        skill[:_SKILL],  # the client may have invented it
        trace.split("-")[1] if trace else "",
    )
    audit.decided(asked, principal, decision, code=code, mode=services.guard.mode)
