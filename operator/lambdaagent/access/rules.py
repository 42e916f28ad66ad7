"""What the access rules of agents and of the installation say, in the form in which `decide` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from lambdaagent.access.actions import Action
from lambdaagent.access.principal import SERVICE_ACCOUNT, SERVICE_ACCOUNTS_OF, Principal
from lambdaagent.api import access as api
from lambdaagent.api.agent import LambdaAgent


class Mode(StrEnum):
    ENFORCE = "enforce"
    AUDIT = "audit"  # decide and log, but let every request through
    OFF = "off"


GRANTABLE = frozenset((Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD))
"""What a grant can be for: no grant of an agent is about events, dead letters or probes."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom one grant is for, and what for. Empty `skills` mean all of them, empty `actions` all of `GRANTABLE`."""

    names: frozenset[str]
    groups: frozenset[str]
    claims: tuple[tuple[str, frozenset[str]], ...]
    skills: frozenset[str]
    actions: frozenset[Action]

    def is_for(self, principal: Principal) -> bool:
        """Return whether the grant names the principal. A grant that names nobody is for whoever has its claims."""
        if self.names or self.groups:
            if principal.name not in self.names and self.groups.isdisjoint(principal.groups):
                return False
        elif not self.claims:
            return False
        return has_claims(principal, self.claims)

    def covers(self, action: Action, skill: str | None) -> bool:
        """`skill` is None if the action concerns no skill in particular."""
        if action not in (self.actions or GRANTABLE):
            return False
        return not self.skills or skill is None or skill in self.skills


@dataclass(frozen=True, slots=True)
class AgentRules:
    """The rules of `spec.a2a.access`."""

    namespace: str
    name: str
    public: bool = False
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class InstallationRules:
    """The rules of the installation: what no agent can exceed, and who may do everything."""

    allow_public: bool = False
    issuers: frozenset[str] | None = None  # None: all that are configured
    namespaces: frozenset[str] | None = None  # None: all
    required_claims: tuple[tuple[str, frozenset[str]], ...] = ()  # of principals with an issuer's token
    admins: frozenset[str] = field(default=frozenset())  # names, and groups as `group:...`
    registrars: frozenset[str] = field(default=frozenset())  # who may register agents, written likewise


def has_claims(principal: Principal, wanted: tuple[tuple[str, frozenset[str]], ...]) -> bool:
    """Return whether the principal's token has one of the values of each wanted claim."""
    return all(not values.isdisjoint(principal.claims.get(name, ())) for name, values in wanted)


def of_agent(agent: LambdaAgent) -> AgentRules:
    access = agent.spec.a2a.access if agent.spec.a2a is not None else None
    if access is None:
        return AgentRules(agent.namespace, agent.name)
    return AgentRules(agent.namespace, agent.name, access.public, tuple(map(_grant, access.grants)))


def owned(found: AgentRules, owner: str) -> AgentRules:
    """Return the rules with a grant of everything to the agent's owner."""
    everything = Grant(frozenset((owner,)), frozenset(), (), frozenset(), frozenset())
    return replace(found, grants=(everything, *found.grants))


def claims(written: Mapping[str, list[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset(values)) for name, values in written.items())


def _grant(written: api.Grant) -> Grant:
    names, groups = set(written.principals), set(written.groups)
    for account in written.service_accounts:
        namespace, _, name = account.partition("/")
        if name == "*":
            groups.add(SERVICE_ACCOUNTS_OF + namespace)  # the cluster's own group of all accounts of a namespace
        else:
            names.add(f"{SERVICE_ACCOUNT}{namespace}:{name}")
    return Grant(
        names=frozenset(names),
        groups=frozenset(groups),
        claims=claims(written.claims),
        skills=frozenset(written.skills),
        actions=frozenset(_ACTIONS[each] for each in written.actions),
    )


_ACTIONS: Mapping[str, Action] = MappingProxyType({each.value: each for each in GRANTABLE})
