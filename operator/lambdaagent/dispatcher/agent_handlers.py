"""Builds the handler of one agent's deliveries: where they are sent, and where replies go."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.protocol import Broker, Handler
from lambdaagent.children import gateway, sidecar
from lambdaagent.children.base import AgentKey
from lambdaagent.clock import Clock
from lambdaagent.containers.post_event import post
from lambdaagent.dispatcher.consumers import ConsumerSpec
from lambdaagent.dispatcher.deduplication import Deduplicator
from lambdaagent.dispatcher.delivery import AgentRoute, Deliverer, DeliveryObserver, Reply
from lambdaagent.events.cloudevents import Event
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import Installation
from lambdaagent.store.records import DeliveryStore

_CALL_GRACE = 5.0
"""Seconds that a call of the gateway may take beyond the skill's own time-out."""


@dataclass
class Handlers:
    installation: Installation
    broker: Broker
    store: DeliveryStore
    client: HttpClient
    clock: Clock
    observer: DeliveryObserver
    replies: Callable[[LambdaAgent], Reply] | None = None
    """Returns where an agent's replies go; None: see `_reply`."""
    _made: dict[AgentKey, Deliverer] = field(default_factory=dict, init=False)

    @property
    def broken(self) -> int:
        return sum(deliverer.circuit.open for deliverer in self._made.values())

    def of(
        self, agent: LambdaAgent, served: ConsumerSpec, *, up: Callable[[], Awaitable[None]] | None = None
    ) -> Handler:
        """`up` returns once the agent may be called; a delivery that waits for it has made no attempt."""
        topology = served.topology
        deliverer = Deliverer(
            agent=agent.key,
            policy=topology.policy,
            client=self.client,
            clock=self.clock,
            reply=self.replies(agent) if self.replies is not None else self._reply(agent, topology.exchange),
            route=router(agent, served, self.installation),
            seen=Deduplicator(self.store, agent.namespace, agent.name, self.clock),
            observer=self.observer,
            calls=topology.calls,
            wants=topology.wants,
            up=up,
            keep_dead=topology.keep_dead,
        )
        self._made[agent.namespace, agent.name] = deliverer
        return deliverer.handle

    def forget(self, key: AgentKey) -> None:
        self._made.pop(key, None)

    def _reply(self, agent: LambdaAgent, exchange: str) -> Reply:
        """Send replies to the gateway's URL of the agent, which updates the task first; else to the broker."""
        url = gateway.events_from(agent, self.installation)
        target, path = split(url) if url else (None, "")

        async def reply(events: Sequence[Event]) -> None:
            for event in events:
                if target is None:
                    await self.broker.publish(event, exchange=exchange)
                else:
                    await post(self.client, target, event, path=path, title="the gateway")

        return reply


def router(agent: LambdaAgent, served: ConsumerSpec, installation: Installation) -> Callable[[Event], AgentRoute]:
    plain = AgentRoute(served.target, sidecar.delivery_path(agent, installation.keys))
    calls = served.topology.calls
    url = gateway.events_to(agent, installation)
    if not url or not calls.skills:
        return lambda _: plain
    target, path = split(url)

    def route(event: Event) -> AgentRoute:
        skill = calls.skill(event)
        if skill is None:
            return plain
        seconds = float(skill.invoke.timeout_seconds) if skill.invoke else served.topology.policy.timeout
        return AgentRoute(target, path, seconds + _CALL_GRACE, gateway=True)

    return route


def split(url: str) -> tuple[Target, str]:
    parts = urlsplit(url)
    return Target.parse(f"{parts.scheme}://{parts.netloc}"), parts.path or "/"
