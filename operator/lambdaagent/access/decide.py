"""The one decision about access: a pure function of the principal, the action and the rules (design section 9).

`allow = ceiling AND (admin OR public OR a grant OR the cluster's RBAC)`. Rules only grant: what no rule mentions is
denied, and nothing exceeds the ceiling. What is public needs no identity, so the ceiling's demands on callers do not
concern it. What the gateway has decided is not decided again in a sidecar.
"""

from dataclasses import dataclass

from lambdaagent.access.actions import Action
from lambdaagent.access.principal import GATEWAY, GROUP, WITHOUT_CLAIMS, Principal
from lambdaagent.access.rules import AgentRules, InstallationRules, has_claims

_GATEWAY_CALLS = frozenset((Action.DISCOVER, Action.INVOKE, Action.READ, Action.CANCEL))
PUBLIC = frozenset((Action.DISCOVER, Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH))
"""What everybody may do with a public agent. The extended card needs a principal (A2A 1.0 section 3.1.11)."""

_SUBRESOURCES = {Action.PUBLISH: "events", Action.REGISTER: "registrations"}


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    rule: str  # what decided, as a path in the rules, or the name of a source of rights
    reason: str


def decide(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    *,
    skill: str | None = None,
    rbac: bool | None = None,
) -> Decision:
    """Decide about an action on an agent. `skill` is the called skill, None if the request names none.

    `rbac` is whether the cluster's RBAC allows the action; None: it was not asked. DISCOVER is allowed to whoever may
    do anything with the agent.
    """
    if (outside := _outside(agent.namespace, installation)) is not None:
        return outside
    if principal.source == GATEWAY:
        if action in _GATEWAY_CALLS:
            return _allowed("gateway", "the gateway allowed the caller's request and sends it")
        return _denied("gateway", "the gateway sends no such request")
    if agent.public and installation.allow_public and action in PUBLIC:
        return _allowed("public", "the agent is public")
    if principal.anonymous:
        if agent.public and not installation.allow_public:
            return _denied("ceiling.allowPublic", "the agent is public, but the installation allows no public agent")
        return _denied("anonymous", "the request has no credential")
    if (over := _above(principal, installation)) is not None:
        return over
    if is_admin(principal, installation):
        return _allowed("admins", "the installation names the caller as an administrator")
    for index, grant in enumerate(agent.grants):
        if grant.is_for(principal) and (action is Action.DISCOVER or grant.covers(action, skill)):
            return _allowed(f"grants[{index}]", "a grant of the agent names the caller")
    if rbac:
        return _allowed("rbac", "the cluster's RBAC allows it")
    asked = "no grant of the agent allows it" if agent.grants else "the agent grants nobody access"
    return _denied("default", asked + ("" if rbac is None else ", nor does the cluster's RBAC"))


def above_ceiling(principal: Principal, namespace: str, installation: InstallationRules) -> Decision | None:
    """Return the denial of a principal that the ceiling keeps from everything in a namespace that is not public."""
    return _outside(namespace, installation) or _above(principal, installation)


def _outside(namespace: str, installation: InstallationRules) -> Decision | None:
    if installation.namespaces is None or namespace in installation.namespaces:
        return None
    return _denied("ceiling.namespaces", f"the installation serves nobody in the namespace {namespace}")


def _above(principal: Principal, installation: InstallationRules) -> Decision | None:
    if principal.source in WITHOUT_CLAIMS or principal.source == GATEWAY:
        return None
    if installation.issuers is not None and principal.source not in installation.issuers:
        return _denied("ceiling.issuers", f"the installation admits no caller of the issuer {principal.source}")
    if not has_claims(principal, installation.required_claims):
        missing = ", ".join(name for name, _ in installation.required_claims)
        return _denied("ceiling.requiredClaims", f"the caller's token lacks a value that is required of: {missing}")
    return None


def in_namespace(
    principal: Principal,
    action: Action,
    namespace: str,
    installation: InstallationRules,
    *,
    rbac: bool | None = None,
) -> Decision:
    """Decide about sending events to a namespace (PUBLISH) or registering agents there (REGISTER).

    Agents' grants say nothing about these. `rbac` as for `decide`.
    """
    if principal.anonymous:
        return _denied("anonymous", "the request has no credential")
    if (over := above_ceiling(principal, namespace, installation)) is not None:
        return over
    if is_admin(principal, installation):
        return _allowed("admins", "the installation names the caller as an administrator")
    if action is Action.REGISTER and _is_named(principal, installation.registrars):
        return _allowed("registrars", "the installation names the caller as a registrar of agents")
    if rbac:
        return _allowed("rbac", "the cluster's RBAC allows it")
    return _denied("default", f"the caller may not create lambdaagents/{_SUBRESOURCES[action]} in {namespace}")


def skills(
    principal: Principal, agent: AgentRules, installation: InstallationRules, *, rbac: bool = False
) -> frozenset[str] | None:
    """Return the skills that a principal may call who may call the agent; None: every one, and the agent as a whole."""
    if (
        rbac
        or principal.source == GATEWAY
        or is_admin(principal, installation)
        or (agent.public and installation.allow_public)
    ):
        return None
    found: set[str] = set()
    for grant in agent.grants:
        if grant.is_for(principal) and grant.covers(Action.INVOKE, None):
            if not grant.skills:
                return None
            found |= grant.skills
    return frozenset(found)


def as_a_whole(callable_: frozenset[str] | None) -> Decision | None:
    """Return the denial of a call that names no skill; None for a caller who may call every one (`skills`)."""
    if callable_ is None:
        return None
    known = ", ".join(sorted(callable_)) or "none"
    return _denied("skills", f"no grant allows to call the agent without a skill: name one of {known}")


def is_admin(principal: Principal, installation: InstallationRules) -> bool:
    return _is_named(principal, installation.admins)


def _is_named(principal: Principal, names: frozenset[str]) -> bool:
    """Groups have a prefix: else whoever may choose a name of the issuer could take that of a group."""
    if principal.anonymous or not names:
        return False
    groups = (GROUP + group for group in principal.groups)
    return principal.name in names or not names.isdisjoint(groups)


def _allowed(rule: str, reason: str) -> Decision:
    return Decision(True, rule, reason)


def _denied(rule: str, reason: str) -> Decision:
    return Decision(False, rule, reason)
