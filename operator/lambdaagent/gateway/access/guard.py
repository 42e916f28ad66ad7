"""Verifies credentials and decides, by the state of the access file that is in force.

Invariant: `state` is replaced as a whole, so no request is decided by half of a changed file. With mode `off` every
caller is anonymous and everything is allowed; with mode `audit` a denial is logged and the request continues.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lambdaagent.a2a.security import SecurityScheme
from lambdaagent.access import decide as rules
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision, decide
from lambdaagent.access.installation import NO_CORS, NO_LIMITS, Cors, Installation, RateLimits
from lambdaagent.access.principal import ANONYMOUS, GATEWAY, Principal
from lambdaagent.access.rules import AgentRules, InstallationRules, Mode
from lambdaagent.gateway.access.audit import AuditLog
from lambdaagent.identity.cluster import AccessReviews
from lambdaagent.identity.verifier import Verifier

_OPEN = Decision(True, "off", "access is not checked")
# The right on a virtual subresource of `lambdaagents` that stands for an action on an agent.
_RIGHTS: Mapping[Action, tuple[str, str]] = MappingProxyType(
    {
        Action.CARD: ("get", "card"),
        Action.PUBLISH: ("create", "events"),
        Action.REGISTER: ("create", "registrations"),
    }
)
_INVOKE = ("create", "invoke")
_MOST = 10_000  # decisions that are remembered
Called = Callable[[str], Awaitable[Principal]]
"""Returns the caller in a statement of the gateway. Raises CredentialError, IdentityUnavailableError."""


@dataclass(frozen=True, slots=True)
class State:
    """One state of the access file."""

    installation: Installation
    rules: InstallationRules
    verifier: Verifier
    schemes: tuple[SecurityScheme, ...] = ()  # as cards show them
    decided: dict[object, tuple[Principal, AgentRules, Decision]] = field(default_factory=dict, compare=False)
    callable: dict[object, tuple[Principal, AgentRules, frozenset[str] | None]] = field(
        default_factory=dict, compare=False
    )

    def decide(self, principal: Principal, action: Action, agent: AgentRules, skill: str | None = None) -> Decision:
        """Decide by the rules alone, and remember the answer: a caller asks the same again and again.

        The principal and the rules are remembered as the objects that they are, and neither ever changes.
        """
        key = (id(principal), id(agent), action, skill)
        known = self.decided.get(key)
        if known is not None and known[0] is principal and known[1] is agent:
            return known[2]
        found = decide(principal, action, agent, self.rules, skill=skill)
        if len(self.decided) >= _MOST:
            self.decided.clear()
        self.decided[key] = (principal, agent, found)
        return found

    def skills(self, principal: Principal, agent: AgentRules) -> frozenset[str] | None:
        """Return the skills that the rules let the principal call, None for all; remembered as in `decide`."""
        key = (id(principal), id(agent))
        known = self.callable.get(key)
        if known is not None and known[0] is principal and known[1] is agent:
            return known[2]
        found = rules.skills(principal, agent, self.rules)
        if len(self.callable) >= _MOST:
            self.callable.clear()
        self.callable[key] = (principal, agent, found)
        return found


@dataclass(slots=True)
class Guard:
    mode: Mode = Mode.OFF
    state: State | None = None  # None with mode `off`
    reviews: AccessReviews | None = None
    audit: AuditLog | None = None
    called: Called | None = None  # of a sidecar

    def schemes(self, agent: AgentRules) -> tuple[tuple[SecurityScheme, ...], bool]:
        """Return the schemes of credentials for cards, and whether callers of the agent need one."""
        if self.state is None:
            return (), False
        return self.state.schemes, not (agent.public and self.state.rules.allow_public)

    @property
    def limits(self) -> RateLimits:
        return self.state.installation.limits.rates if self.state is not None else NO_LIMITS

    @property
    def trusted_domains(self) -> Sequence[str]:
        """Return the host names, exact or as `*.suffix`, that clients may choose although they are private."""
        return self.state.installation.trusted_domains if self.state is not None else ()

    @property
    def cors(self) -> Cors:
        return self.state.installation.cors if self.state is not None else NO_CORS

    @property
    def off(self) -> bool:
        return self.state is None

    def groups_of_key(self, source: str, id_: str) -> frozenset[str]:
        """Return the groups of the owner of an API key or an HMAC key."""
        return self.state.verifier.groups_of_key(source, id_) if self.state is not None else frozenset()

    def admits_source(self, principal: Principal) -> bool:
        """Return whether a credential of this principal can still be valid."""
        return self.state is not None and self.state.verifier.admits_source(principal)

    def known(self, credential: str) -> Principal | None:
        """Return who has the credential, if it was verified a short while ago."""
        return self.state.verifier.known(credential) if self.state is not None else None

    async def principal(self, credential: str | None) -> Principal:
        """Return who has the credential. Raises CredentialError, IdentityUnavailableError."""
        if self.state is None or credential is None:
            return ANONYMOUS
        return await self.state.verifier.principal(credential)

    async def decision(
        self, principal: Principal, action: Action, agent: AgentRules, *, skill: str | None = None, listed: bool = False
    ) -> Decision:
        """Decide about an action on an agent. For one of a list, the cluster is asked as in `sees`."""
        state = self.state
        if state is None:
            return _OPEN
        found = state.decide(principal, action, agent, skill)
        if found.rule != "default" or not self._asks_cluster(state):
            return found
        allowed = await self._right(principal, action, agent.namespace, "" if listed else agent.name)
        return decide(principal, action, agent, state.rules, skill=skill, rbac=allowed)

    async def sees(self, principal: Principal, agent: AgentRules, *, listed: bool = False) -> bool:
        """Return whether the principal may know of the agent. For a list, the cluster is asked about namespaces only:
        one question for each agent would let a caller load the API server.
        """
        state = self.state
        if state is None or self.mode is Mode.AUDIT:
            return True
        found = state.decide(principal, Action.DISCOVER, agent)
        if found.rule != "default" or not self._asks_cluster(state):
            return found.allowed
        name = "" if listed else agent.name
        return await self._right(principal, Action.DISCOVER, agent.namespace, name)

    async def skills(self, principal: Principal, agent: AgentRules, *, listed: bool = False) -> frozenset[str] | None:
        """Return the skills that the principal may call, None for all; its right to call the agent is decided."""
        state = self.state
        if state is None:
            return None
        found = state.skills(principal, agent)
        if found is None or not self._asks_cluster(state):
            return found
        allowed = await self._right(principal, Action.INVOKE, agent.namespace, "" if listed else agent.name)
        return None if allowed else found

    def listed_skills(self, principal: Principal, agent: AgentRules) -> frozenset[str] | None:
        """Return the skills that a list shows to a principal that sees the agent there; None: every one.

        The cluster is not asked: whom RBAC lets see the agent, it lets call every skill.
        """
        state = self.state
        if state is None or self.mode is not Mode.ENFORCE:
            return None
        if state.decide(principal, Action.DISCOVER, agent).rule == "default":
            return None
        return rules.skills(principal, agent, state.rules)

    async def reaches_all_tasks(self, principal: Principal, agent: AgentRules, verb: str) -> bool:
        """Return whether the principal may `get`, `list` or `delete` (cancel) the tasks of others."""
        state = self.state
        if state is None or principal.anonymous:
            return False
        if rules.above_ceiling(principal, agent.namespace, state.rules) is not None:
            return False  # it is here because the agent is public
        if principal.source == GATEWAY or rules.is_admin(principal, state.rules):
            return True
        if not self._asks_cluster(state) or self.reviews is None:
            return False
        return await self.reviews.allows(
            principal, verb=verb, subresource="tasks", namespace=agent.namespace, name=agent.name
        )

    async def in_namespace(self, principal: Principal, action: Action, namespace: str) -> Decision:
        """Decide about sending events to a namespace, or registering agents there."""
        state = self.state
        if state is None:
            return _OPEN
        found = rules.in_namespace(principal, action, namespace, state.rules)
        if found.rule != "default" or not self._asks_cluster(state):
            return found
        allowed = await self._right(principal, action, namespace, "")
        return rules.in_namespace(principal, action, namespace, state.rules, rbac=allowed)

    def is_admin(self, principal: Principal) -> bool:
        """Return whether the caller may do everything, as everybody may where access is not checked."""
        return self.state is None or rules.is_admin(principal, self.state.rules)

    def _asks_cluster(self, state: State) -> bool:
        return self.reviews is not None and state.installation.kubernetes.subject_access_review

    async def _right(self, principal: Principal, action: Action, namespace: str, name: str) -> bool:
        if self.reviews is None or principal.anonymous:
            return False
        verb, subresource = _RIGHTS.get(action, _INVOKE)
        return await self.reviews.allows(principal, verb=verb, subresource=subresource, namespace=namespace, name=name)
