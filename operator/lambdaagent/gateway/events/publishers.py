"""Publishes events in a cluster: to a Broker's ingress under Knative, to an exchange on plain RabbitMQ.

The addresses of Knative's Brokers come from the agents' status, where the operator writes what the Brokers report; they
are never guessed. A Knative Broker answers 202 to every event, so the subscriptions of the agents decide whether an
event counts as routed.
"""

from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.errors import NoQueueError
from lambdaagent.broker.protocol import Broker
from lambdaagent.children.async_calls import AGENT
from lambdaagent.containers.post_event import post
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.filters import Interest, interest
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.events.errors import BrokerNotReadyError, UnknownBrokerError
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target

BrokerKey = tuple[str, str]  # namespace, Broker


@dataclass
class SubscriptionIndex:
    """The events that the agents on one Broker take: exact types with their sources (None: any source), patterns, and
    calls of their skills.

    A type that an agent forwards counts as taken, although no queue of this Broker takes it: only the other Broker has
    the subscriptions to it.
    """

    exact: dict[str, set[str | None]] = field(default_factory=dict)
    patterned: list[Interest] = field(default_factory=list)
    called: set[tuple[str, str]] = field(default_factory=set)
    forwarded: set[str] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        agent = entry.agent
        eventing = agent.spec.eventing
        subscriptions = [(each.event_type, each.source) for each in eventing.subscriptions] if eventing else []
        wanted = interest(subscriptions, own=eventing.event_source if eventing and eventing.skip_own else None)
        if wanted.filtered:
            self.patterned.append(wanted)
        else:
            for kind, sources in wanted.exact.items():
                self.exact.setdefault(kind, set()).update(sources)
        for forward in eventing.forwards if eventing else ():
            self.forwarded.update(forward.event_types)
        self.called.update((agent.name, kind) for kind in entry.calls.skills)

    def takes(self, event: Event) -> bool:
        return event.type in self.forwarded or self.queues(event)

    def queues(self, event: Event) -> bool:
        """Return whether a queue of an agent on this Broker should take the event."""
        sources = self.exact.get(event.type, ())
        return (
            None in sources
            or event.source in sources
            or (event.extensions.get(AGENT), event.type) in self.called
            or any(wanted.wants(event) for wanted in self.patterned)
        )


@dataclass
class Brokers:
    """The Brokers that agents use, derived from the directory; `changed` must follow each change of it."""

    directory: Directory
    _stale: bool = field(default=True, init=False)
    _urls: dict[BrokerKey, str] = field(default_factory=dict, init=False)
    _taking: dict[BrokerKey, SubscriptionIndex] = field(default_factory=dict, init=False)

    def changed(self) -> None:
        """Mark the result as stale. The next read rebuilds it: a list of a thousand agents is a thousand changes."""
        self._stale = True

    def _refresh(self) -> None:
        if not self._stale:
            return
        self._stale = False
        self._urls, self._taking = {}, {}
        for entry in self.directory.after(None):
            if (key := broker_of(entry.agent)) is None:
                continue
            status = entry.agent.status.eventing_status
            if status and status.broker_url:
                self._urls[key] = status.broker_url
            self._taking.setdefault(key, SubscriptionIndex()).add(entry)

    def known(self, key: BrokerKey) -> bool:
        self._refresh()
        return key in self._taking

    def names(self, namespace: str) -> list[str]:
        return sorted(broker for where, broker in self._taking if where == namespace)

    def url(self, key: BrokerKey) -> str | None:
        self._refresh()
        return self._urls.get(key)

    def takes(self, key: BrokerKey, event: Event) -> bool:
        self._refresh()
        return key in self._taking and self._taking[key].takes(event)

    def taking(self, key: BrokerKey) -> SubscriptionIndex:
        self._refresh()
        return self._taking.get(key) or SubscriptionIndex()


def broker_of(agent: LambdaAgent) -> BrokerKey | None:
    """Return the Broker that the operator reports in the agent's status; None for an agent without eventing."""
    status = agent.status.eventing_status
    return (agent.namespace, status.broker_name) if status and status.broker_name else None


@dataclass(frozen=True, slots=True)
class BrokerExchanges:
    """Returns the name of a Broker's exchange, which the publishers below resolve to an address."""

    brokers: Brokers

    def shared(self, namespace: str) -> str:
        return self.broker(namespace, naming.SHARED_BROKER)

    def broker(self, namespace: str, broker: str) -> str:
        if not self.brokers.known((namespace, broker)):
            self.brokers.directory.require_listed(namespace)
            raise UnknownBrokerError(namespace, broker, known=self.brokers.names(namespace))
        return naming.exchange(namespace, broker)

    def agent(self, agent: LambdaAgent) -> str:
        key = broker_of(agent)
        return self.broker(*key) if key else self.shared(agent.namespace)


@dataclass(frozen=True, slots=True)
class KnativePublisher:
    """Posts events to the ingress of a Knative Broker."""

    brokers: Brokers
    client: HttpClient

    async def publish(self, event: Event, *, exchange: str) -> bool:
        key = naming.broker_of_exchange(exchange)
        url = self.brokers.url(key)
        if url is None:
            raise BrokerNotReadyError(*key)
        await post(self.client, Target.parse(url), event, path="/", title=f"Broker {'/'.join(key)}")
        return self.brokers.takes(key, event)


@dataclass(frozen=True, slots=True)
class RabbitMQPublisher:
    """Publishes events to RabbitMQ. The result follows the agents' subscriptions (`judged`)."""

    brokers: Brokers
    broker: Broker

    async def publish(self, event: Event, *, exchange: str) -> bool:
        routed = await self.broker.publish(event, exchange=exchange)
        return judged(event, routed, self.brokers.taking(naming.broker_of_exchange(exchange)))


def judged(event: Event, routed: bool, taking: SubscriptionIndex) -> bool:
    """Return whether an agent takes the event, given whether RabbitMQ routed it and what the agents subscribe to.

    The queue of an agent with patterns takes every event, so RabbitMQ's result alone would be too optimistic. Raises
    NoQueueError if no queue took an event that an agent subscribes to: its queue or binding is missing.
    """
    if not routed and taking.queues(event):
        raise NoQueueError(
            f"an agent subscribes to events of type {event.type[:200]} and no queue in RabbitMQ is bound for it; the "
            "dispatcher binds one within seconds; publish again, and see the condition EventingReady if this persists"
        )
    return routed and (not taking.patterned or taking.takes(event))
