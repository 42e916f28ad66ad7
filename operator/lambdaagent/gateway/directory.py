"""The agents that this gateway serves, as immutable entries made once per change: the hot path parses nothing.

Fed by a watch or by files; read by every request. An agent that is known and cannot be called is kept, so that the
answer can say which of the two it is.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

import orjson

from lambdaagent.a2a import cards
from lambdaagent.a2a.versions import Version
from lambdaagent.agents.callee import Callee, callee
from lambdaagent.agents.errors import BadTargetError
from lambdaagent.agents.wire import Target
from lambdaagent.api import naming
from lambdaagent.api.a2a import A2a
from lambdaagent.api.agent import LambdaAgent

Key = tuple[str, str]
_HOSTS = 1024
_CARDS = 32  # bodies kept per agent: the shapes, for a few base URLs


@dataclass(frozen=True, slots=True)
class Card:
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Entry:
    agent: LambdaAgent
    callee: Callee
    enabled: bool
    discoverable: bool
    ready: bool
    why_not: str  # why it cannot be called; empty where it can
    offered: tuple[Version, ...]
    last_modified: str  # as an HTTP date
    prefix: str  # its path on the gateway's own host
    base_path: str
    skills_path: str
    _cards: dict[tuple[cards.Shape, str], Card] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> Key:
        return self.agent.namespace, self.agent.name

    def card(self, shape: cards.Shape, *, url: str) -> Card:
        """Cached per base URL, which clients choose by their Host header: so the cache is small and may be dropped."""
        cached = self._cards.get((shape, url))
        if cached is None:
            body = orjson.dumps(cards.card(self.agent, shape=shape, url=url))
            cached = Card(body, f'"{sha256(body).hexdigest()[:32]}"')
            if len(self._cards) >= _CARDS:
                self._cards.clear()
            self._cards[shape, url] = cached
        return cached


class MisdirectedError(Exception):
    """A host name without its namespace: it may mean several agents, and resolves only inside one namespace."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


class Directory:
    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._order: list[Key] = []
        self._hosts: dict[str, Entry | None] = {}  # what `by_host` found, until something changes
        self._services: dict[str, dict[str, Key]] = {}  # A2A Service name -> namespace -> agent

    def upsert(self, agent: LambdaAgent, *, url: str | None, ready: bool, last_modified: datetime) -> None:
        self._hosts.clear()
        entry = make_entry(agent, url=url, ready=ready, last_modified=last_modified)
        known = entry.key in self._entries
        self._entries[entry.key] = entry
        if not known:
            self._order = sorted(self._entries)
            self._services.setdefault(naming.a2a_service(agent.name), {})[agent.namespace] = entry.key

    def remove(self, namespace: str, name: str) -> None:
        self._hosts.clear()
        if self._entries.pop((namespace, name), None) is None:
            return
        self._order = sorted(self._entries)
        service = naming.a2a_service(name)
        self._services[service].pop(namespace)
        if not self._services[service]:
            del self._services[service]

    def get(self, namespace: str, name: str) -> Entry | None:
        return self._entries.get((namespace, name))

    def callee(self, namespace: str, name: str) -> Callee | None:
        entry = self._entries.get((namespace, name))
        return entry.callee if entry is not None else None

    def by_host(self, host: str) -> Entry | None:
        """The agent that `{service}.{namespace}[.svc[.domain]]` names; None for every other host.

        Raises MisdirectedError for an agent's bare Service name (design section 5).
        """
        try:
            return self._hosts[host]
        except KeyError:
            found = self._by_host(host)
            # Clients choose what stands in a Host header, so the cache is small and may be dropped.
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
            raise MisdirectedError([f"{service}.{namespace}" for namespace in sorted(namespaces)])
        namespace, _, domain = rest.partition(".")
        key = namespaces.get(namespace)
        if key is None or (domain and domain.partition(".")[0] != "svc"):
            return None
        return self._entries[key]

    def after(self, key: Key | None) -> Iterator[Entry]:
        """In the order of (namespace, name), from the one after the given key, which may be gone by now."""
        order = self._order
        for index in range(bisect_right(order, key) if key is not None else 0, len(order)):
            entry = self._entries.get(order[index])
            if entry is not None:
                yield entry

    def __len__(self) -> int:
        return len(self._entries)


def make_entry(agent: LambdaAgent, *, url: str | None, ready: bool, last_modified: datetime) -> Entry:
    a2a = agent.spec.a2a or A2a()
    target, why_not = None, ""
    if not ready:
        why_not = "it is not ready"
    elif not url:
        why_not = "its Service has no URL yet"
    if url:
        try:
            target = Target.parse(url)
        except BadTargetError as error:
            why_not = str(error)
    called = callee(agent, target=target)
    return Entry(
        agent=agent,
        callee=called,
        enabled=a2a.enabled,
        discoverable=a2a.discoverable,
        ready=not why_not,
        why_not=why_not,
        offered=tuple(cards.offered(a2a)),
        last_modified=format_datetime(last_modified, usegmt=True),
        prefix=f"/agents/{agent.namespace}/{agent.name}",
        base_path=a2a.base_path,
        skills_path=f"{a2a.base_path}/skills/",
    )
