"""Whether whoever registered a receiver of push notifications may still get them, by the rules of now.

Its token is not there any more. So the check is about its source (the issuer, the key), with the groups and claims that
its token had, and about the rules.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from lambdaagent.access import registrant
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import HMAC, KEY, Principal
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access.audit import Asked
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.directory import Directory
from lambdaagent.store.records import TaskRecord

_GONE = Decision(False, "credential.unknown-key", "its credential was revoked")


def of_pushes(guard: Guard, directory: Directory) -> Callable[[TaskRecord, str], Awaitable[str]]:
    """Return the function that says why a registrant is denied the changes of its task; empty: it is not."""

    async def denied(record: TaskRecord, stored: str) -> str:
        if guard.off:
            return ""
        entry = directory.find(record.namespace, record.agent)
        if entry is None:
            return f"the agent {record.namespace}/{record.agent} is not there"
        principal = now(guard, registrant.restored(record.owner, stored))
        if principal is None:
            found = _GONE
        else:
            found = await guard.decision(principal, Action.PUSH, entry.rules)
        if found.allowed:
            return ""
        if guard.audit is not None:
            asked = Asked(f"push {record.id}", "", Action.PUSH.value, record.namespace, record.agent)
            user = principal or Principal(record.owner, source="unknown")
            guard.audit.decided(asked, user, found, code=403, mode=guard.mode.value)
        return found.reason if guard.mode is Mode.ENFORCE else ""

    return denied


def now(guard: Guard, principal: Principal) -> Principal | None:
    """Return the principal with the groups that a key has now; None if its source is gone."""
    if principal.anonymous:
        return principal
    if not guard.admits_source(principal):
        return None
    if principal.source in (KEY, HMAC):
        return replace(principal, groups=guard.groups_of_key(principal.source, principal.name.partition(":")[2]))
    return principal
