"""Where events go in a cluster: to a Broker's ingress under Knative, to an exchange on plain RabbitMQ.

The addresses of Knative's Brokers come from the agents' status, where the operator wrote what the Brokers report: they
are never guessed. A Broker confirms (202) also what nobody takes, so what is routed is told from the subscriptions.
"""

from dataclasses import dataclass, field

from lambdaagent.agents.client import Client
from lambdaagent.agents.posting import post
from lambdaagent.agents.wire import Target
from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.calling import AGENT
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.problems import RETRY_AFTER, ProblemError

BrokerKey = tuple[str, str]  # namespace, Broker


@dataclass
class Brokers:
    """The Brokers that agents use; fed with each change of an agent, together with the directory."""

    directory: Directory
    _stale: bool = field(default=True, init=False)
    _urls: dict[BrokerKey, str] = field(default_factory=dict, init=False)
    # What agents subscribe to on a Broker: type -> sources, None for any.
    _subscribed: dict[BrokerKey, dict[str, set[str | None]]] = field(default_factory=dict, init=False)
    # Agents that calls are addressed to, and the types of these.
    _called: dict[BrokerKey, set[tuple[str, str]]] = field(default_factory=dict, init=False)

    def changed(self) -> None:
        """The directory did. Rebuilt on the next look only: a list of a thousand agents is a thousand changes."""
        self._stale = True

    def _refresh(self) -> None:
        if not self._stale:
            return
        self._stale = False
        self._urls, self._subscribed, self._called = {}, {}, {}
        for entry in self.directory.after(None):
            agent = entry.agent
            if (key := broker_of(agent)) is None:
                continue
            status = agent.status.eventing_status
            if status and status.broker_url:
                self._urls[key] = status.broker_url
            types = self._subscribed.setdefault(key, {})
            for subscription in agent.spec.eventing.subscriptions if agent.spec.eventing else ():
                types.setdefault(subscription.event_type, set()).add(subscription.source or None)
            self._called.setdefault(key, set()).update((agent.name, kind) for kind in entry.calls.skills)

    def known(self, key: BrokerKey) -> bool:
        self._refresh()
        return key in self._subscribed

    def names(self, namespace: str) -> list[str]:
        return sorted(broker for where, broker in self._subscribed if where == namespace)

    def url(self, key: BrokerKey) -> str | None:
        self._refresh()
        return self._urls.get(key)

    def takes(self, key: BrokerKey, event: Event) -> bool:
        self._refresh()
        sources = self._subscribed.get(key, {}).get(event.type, set())
        called = (event.extensions.get(AGENT), event.type) in self._called.get(key, ())
        return called or None in sources or event.source in sources


def broker_of(agent: LambdaAgent) -> BrokerKey | None:
    """As the operator reported it; None for an agent without eventing."""
    status = agent.status.eventing_status
    return (agent.namespace, status.broker_name) if status and status.broker_name else None


@dataclass(frozen=True, slots=True)
class BrokerExchanges:
    """Names the exchange of a Broker; the publishers below turn it into an address."""

    brokers: Brokers

    def shared(self, namespace: str) -> str:
        return self.broker(namespace, naming.SHARED_BROKER)

    def broker(self, namespace: str, broker: str) -> str:
        if not self.brokers.known((namespace, broker)):
            detail = f"No agent takes events on Broker {broker!r} in namespace {namespace!r}."
            raise ProblemError(404, "unknown-broker", detail, members={"known": self.brokers.names(namespace)})
        return naming.exchange(namespace, broker)

    def agent(self, agent: LambdaAgent) -> str:
        key = broker_of(agent)
        return self.broker(*key) if key else self.shared(agent.namespace)


@dataclass(frozen=True, slots=True)
class KnativePublisher:
    """Posts events to the ingress of a Knative Broker."""

    brokers: Brokers
    client: Client

    async def publish(self, event: Event, *, exchange: str) -> bool:
        key = naming.broker_of_exchange(exchange)
        url = self.brokers.url(key)
        if url is None:
            detail = f"Broker {key[1]!r} in namespace {key[0]!r} has no address yet."
            raise ProblemError(503, "broker-not-ready", detail, headers=RETRY_AFTER)
        await post(self.client, Target.parse(url), event, path="/", title=f"Broker {'/'.join(key)}")
        return self.brokers.takes(key, event)
