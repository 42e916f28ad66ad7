"""Whether somebody who is not there may do something: by the rules of now, for a principal as it was stored."""

from lambdaagent.access import registrant
from lambdaagent.access.actions import Action
from lambdaagent.access.principal import Principal
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import standing_rights
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.directory import Entry


def standing(guard: Guard, name: str, stored: str) -> Principal | None:
    """Return the principal with what it has now; None if its source is gone."""
    return standing_rights.now(guard, registrant.restored(name, stored))


async def may_invoke(
    guard: Guard, name: str, stored: str, entry: Entry, skill: str | None, *, listed: bool = False
) -> bool:
    """`listed`: the agent is one of many, about which the cluster is asked by namespace."""
    if guard.mode is not Mode.ENFORCE:
        return True
    principal = standing(guard, name, stored)
    if principal is None:
        return False
    if not (await guard.decision(principal, Action.INVOKE, entry.rules, skill=skill, listed=listed)).allowed:
        return False
    allowed = await guard.skills(principal, entry.rules, listed=listed)
    return allowed is None or skill in allowed


async def may_publish(guard: Guard, name: str, stored: str, namespace: str) -> bool:
    if guard.mode is not Mode.ENFORCE:
        return True
    principal = standing(guard, name, stored)
    return principal is not None and (await guard.in_namespace(principal, Action.PUBLISH, namespace)).allowed
