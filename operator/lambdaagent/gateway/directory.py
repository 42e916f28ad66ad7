"""The agents that this gateway serves, as immutable entries that are built once per change.

A watch or files feed the directory, and every request reads it, so a request parses no resource. An agent that cannot
be called keeps its entry, so that a response distinguishes it from an unknown agent.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

import orjson
import structlog

from lambdaagent.a2a import Json, cards
from lambdaagent.a2a.container_card import with_card
from lambdaagent.a2a.security import SecurityScheme
from lambdaagent.a2a.signing import Signer
from lambdaagent.a2a.versions import Version
from lambdaagent.access import rules
from lambdaagent.access.rates import Rate
from lambdaagent.access.rules import AgentRules
from lambdaagent.api import naming
from lambdaagent.api.a2a import A2a, Extension
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.async_calls import Calls, calls
from lambdaagent.containers.callee import Callee, callee, connections
from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.coordination.workflow import PROTOCOL as WORKFLOW
from lambdaagent.errors import TemporaryError
from lambdaagent.httpclient.errors import BadTargetError
from lambdaagent.httpclient.wire import Target
from lambdaagent.json_schema.checker import Checker

log = structlog.get_logger(__name__)

Key = tuple[str, str]
NOT_READY = "it is not ready"
_TURN = 100  # agents
_HOSTS = 1024
_CARDS = 32  # cached cards per agent: each shape for a few base URLs


_Security = tuple[tuple[SecurityScheme, ...], bool]
NO_SECURITY: _Security = ((), False)
_CardKey = tuple[cards.Shape, str, _Security, bool]


@dataclass(frozen=True, slots=True)
class Card:
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Entry:
    key: Key
    agent: LambdaAgent
    callee: Callee
    calls: Calls  # events that call a skill
    rules: AgentRules
    rate: Rate | None  # of each caller
    skill_rates: Mapping[str, Rate]  # of each caller, by skill
    public: LambdaAgent  # the agent without its private skills
    enabled: bool
    discoverable: bool
    ready: bool
    why_not: str  # why it cannot be called; empty if it can
    offered: tuple[Version, ...]
    pushes: bool
    extensions: tuple[Extension, ...]
    last_modified: str  # as an HTTP date
    registered: RegisteredAgent | None  # None: a resource in the cluster, or in a file, describes it
    prefix: str  # its path on the gateway's own host
    base_path: str
    skills_path: str
    rest_path: str
    _cards: dict[_CardKey, Card] = field(default_factory=dict, compare=False, repr=False)
    _checkers: dict[int, Checker] = field(default_factory=dict, compare=False, repr=False)

    @property
    def agent_id(self) -> str:
        """The agent's name among agents everywhere: of one in the cluster, `namespace/name`."""
        return self.registered.agent_id if self.registered is not None else self.agent.key

    @property
    def is_workflow(self) -> bool:
        """Whether its calls are runs of a workflow, and not calls of a container or a server."""
        return self.registered is not None and self.registered.protocol == WORKFLOW

    def card(
        self,
        shape: cards.Shape,
        *,
        url: str,
        signer: Signer | None = None,
        jwks_url: str = "",
        security: _Security = NO_SECURITY,
        extended: bool = False,
        alone: bool = False,
    ) -> Card:
        """Return the card for a base URL. Clients choose the URL by their Host header, so the cache is bounded.

        `security` holds the schemes of credentials, and whether a caller needs one.
        """
        cached = self._cards.get((shape, url, security, extended))
        if cached is None:
            schemes, required = security
            card = cards.card(
                self.agent,
                shape=shape,
                url=url,
                schemes=schemes,
                required=required,
                extended=extended,
                alone=alone,
            )
            cached = _signed(card, signer, jwks_url) if signer is not None else _plain(card)
            if len(self._cards) >= _CARDS:
                self._cards.clear()
            self._cards[shape, url, security, extended] = cached
        return cached

    def checker(self, schema: Json | None) -> Checker | None:
        """Return the checker of a schema of one of the agent's skills, which is made once; None for no schema."""
        if schema is None:
            return None
        known = self._checkers.get(id(schema))  # the skills live as long as the entry
        if known is None:
            known = self._checkers[id(schema)] = Checker(schema)
        return known


class MisdirectedError(Exception):
    """A host name without its namespace: it is ambiguous, because it resolves only inside one namespace.

    `names` holds the agents that it may mean, by their whole names.
    """

    def __init__(self, names: Mapping[str, "Entry"]) -> None:
        super().__init__(list(names))
        self.names = names


class NotListedError(TemporaryError):
    """The agents have not been listed yet, so an agent without an entry may exist."""

    def __init__(self) -> None:
        super().__init__("the agents are not listed yet")


class Directory:
    def __init__(self, listed: Callable[[str | None], bool] = lambda _namespace: True) -> None:
        """`listed` returns whether all agents of a namespace, or of all namespaces (None), have been listed."""
        self._listed = listed
        self._entries: dict[Key, Entry] = {}
        self._order: list[Key] = []
        self._hosts: dict[str, Entry | None] = {}  # results of `by_host`; each change clears them
        self._services: dict[str, dict[str, Key]] = {}  # A2A Service name -> namespace -> agent
        self._watches: set[Changes] = set()

    def upsert(
        self,
        agent: LambdaAgent,
        *,
        url: str | None,
        ready: bool,
        last_modified: datetime,
        problem: str = NOT_READY,
        registered: RegisteredAgent | None = None,
    ) -> None:
        """Add or replace an agent. `problem` is why it cannot be called if `ready` is False."""
        self._hosts.clear()
        entry = make_entry(
            agent, url=url, ready=ready, last_modified=last_modified, problem=problem, registered=registered
        )
        known = entry.key in self._entries
        self._tell(entry.key)
        self._entries[entry.key] = entry
        if not known:
            self._order = sorted(self._entries)
            self._services.setdefault(naming.a2a_service(agent.name), {})[agent.namespace] = entry.key

    def remove(self, namespace: str, name: str) -> None:
        self._hosts.clear()
        if self._entries.pop((namespace, name), None) is None:
            return
        self._tell((namespace, name))
        self._order = sorted(self._entries)
        service = naming.a2a_service(name)
        self._services[service].pop(namespace)
        if not self._services[service]:
            del self._services[service]

    def get(self, namespace: str, name: str) -> Entry | None:
        """Return None if there is no such agent. Raises NotListedError if that is not known yet."""
        entry = self._entries.get((namespace, name))
        if entry is None:
            self.require_listed(namespace)
        return entry

    def find(self, namespace: str, name: str) -> Entry | None:
        """Return the agent, or None if it is not there, or not listed yet."""
        return self._entries.get((namespace, name))

    def callee(self, namespace: str, name: str) -> Callee | None:
        """Raises NotListedError, as `get`."""
        entry = self.get(namespace, name)
        return entry.callee if entry is not None else None

    def require_listed(self, namespace: str | None = None) -> None:
        """Raises NotListedError if agents of the namespace may be missing from the directory."""
        if not self._listed(namespace):
            raise NotListedError

    def by_host(self, host: str) -> Entry | None:
        """Return the agent that `{service}.{namespace}[.svc[.domain]]` names; None for every other host.

        Raises MisdirectedError for an agent's bare Service name.
        """
        try:
            return self._hosts[host]
        except KeyError:
            found = self._by_host(host)
            # Clients choose the Host header, so the cache is bounded.
            if len(self._hosts) >= _HOSTS:
                self._hosts.clear()
            self._hosts[host] = found
            return found

    def _by_host(self, host: str) -> Entry | None:
        service, _, rest = host.partition(":")[0].lower().rstrip(".").partition(".")
        namespaces = self._services.get(service)
        if namespaces is None:
            return None
        if not rest:
            found = {f"{service}.{namespace}": self._entries[namespaces[namespace]] for namespace in sorted(namespaces)}
            raise MisdirectedError(found)
        namespace, _, domain = rest.partition(".")
        key = namespaces.get(namespace)
        if key is None or (domain and domain.partition(".")[0] != "svc"):
            return None
        return self._entries[key]

    def after(self, key: Key | None) -> Iterator[Entry]:
        """Yield the entries after the given key in the order of (namespace, name). The key need not exist any more."""
        order = self._order
        for index in range(bisect_right(order, key) if key is not None else 0, len(order)):
            entry = self._entries.get(order[index])
            if entry is not None:
                yield entry

    async def each(self, after: Key | None = None) -> AsyncIterator[Entry]:
        """Yield what `after` yields, and give other requests a turn now and then: there may be thousands."""
        for number, entry in enumerate(self.after(after), 1):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            yield entry

    @contextmanager
    def watch(self) -> Iterator["Changes"]:
        changes = Changes()
        self._watches.add(changes)
        try:
            yield changes
        finally:
            self._watches.discard(changes)

    def _tell(self, key: Key) -> None:
        for changes in self._watches:
            changes.add(key)

    def __len__(self) -> int:
        return len(self._entries)


class Changes:
    """The agents that changed since the last `next`. Each key is held once, so a slow reader costs bounded memory."""

    def __init__(self) -> None:
        self._keys: dict[Key, None] = {}
        self._some = asyncio.Event()

    def add(self, key: Key) -> None:
        self._keys[key] = None
        self._some.set()

    async def next(self) -> list[Key]:
        await self._some.wait()
        self._some.clear()
        keys, self._keys = list(self._keys), {}
        return keys


def _plain(card: Json) -> Card:
    body = orjson.dumps(card)
    return Card(body, f'"{_digest(body)}"')


def _signed(card: Json, signer: Signer, jwks_url: str) -> Card:
    """Replicas sign the same card differently, so the ETag is weak and hashes the unsigned card and the key's id."""
    digest = _digest(orjson.dumps(card) + signer.kid.encode())
    return Card(orjson.dumps(signer.signed(card, jwks_url=jwks_url)), f'W/"{digest}"')


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:32]


def make_entry(
    agent: LambdaAgent,
    *,
    url: str | None,
    ready: bool,
    last_modified: datetime,
    problem: str = NOT_READY,
    registered: RegisteredAgent | None = None,
) -> Entry:
    agent = with_card(agent)
    a2a = agent.spec.a2a or A2a()
    target, why_not = None, ""
    if not ready:
        why_not = problem
    elif agent.external is not None and a2a.protocol == "a2a" and not _has_endpoint(agent):
        why_not = "its agent card is not known yet; see the agent's condition ServingReady"
    elif not url and agent.external is None and (registered is None or registered.protocol != WORKFLOW):
        why_not = "its Service has no URL yet"
    if url and agent.external is None:
        try:
            target = replace(Target.parse(url), connections=connections(agent))
        except BadTargetError as error:
            log.warning("agent.url_refused", agent=agent.key, error=str(error))
            why_not = "the URL of its Service cannot be called"  # callers read this, and the URL is internal
    called, own = callee(agent, target=target), rules.of_agent(agent)
    return Entry(
        key=(agent.namespace, agent.name),
        agent=agent,
        callee=called,
        calls=calls(agent),
        rules=own if registered is None else rules.owned(own, registered.created_by),
        rate=Rate.of(limits.requests_per_minute, limits.burst)
        if (limits := a2a.limits) is not None and limits.requests_per_minute is not None
        else None,
        skill_rates={
            skill.id: Rate.of(skill.limits.requests_per_minute, skill.limits.burst)
            for skill in a2a.skills
            if skill.limits is not None
        },
        public=cards.public(agent),
        enabled=a2a.enabled,
        discoverable=a2a.discoverable,
        ready=not why_not,
        why_not=why_not,
        offered=tuple(cards.offered(a2a)),
        pushes=cards.capabilities(a2a).push_notifications,
        extensions=tuple(a2a.extensions),
        last_modified=format_datetime(last_modified, usegmt=True),
        registered=registered,
        prefix=f"/agents/{agent.namespace}/{agent.name}",
        base_path=a2a.base_path,
        skills_path=f"{a2a.base_path}/skills/",
        rest_path=f"{a2a.base_path}/",
    )


def _has_endpoint(agent: LambdaAgent) -> bool:
    status = agent.status.a2a_status
    return status is not None and status.container_card is not None and status.container_card.endpoint is not None
