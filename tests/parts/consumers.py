"""A consumer manager over a broker in this process that can be unavailable; it keeps what the manager reports."""

import asyncio
from typing import Any

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.broker.inprocess import InProcessBroker
from lambdaagent.broker.protocol import ACK, BrokerDelivery, Deaths, DeliveryOutcome, Handler, Loss
from lambdaagent.dispatcher.consumers import ConsumerManager, ConsumerSpec
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import Installation
from lambdaagent.status.readiness import Readiness

TARGET = Target.parse("http://127.0.0.1:1")


class Leaving(InProcessBroker):
    """A broker whose connection, losses and deaths a test sets."""

    here = True
    why = "login refused: RabbitMQ does not take the password of user 'agents'"
    lost: dict[str, Loss] = {}
    dead: dict[tuple[str, str], Deaths] = {}

    @property
    def ready(self) -> bool:
        return self.here

    @property
    def problem(self) -> str:
        return "" if self.here else self.why

    @property
    def losses(self) -> dict[str, Loss]:
        return self.lost

    @property
    def deaths(self) -> dict[tuple[str, str], Deaths]:
        return self.dead

    def bound(self, exchange: str) -> set[str]:
        return set(self._bindings.get(exchange, {}))


class World:
    """A consumer manager. `said` holds its last report of each agent, `got` the deliveries; `ticks` lets time pass."""

    def __init__(self) -> None:
        self.broker = Leaving()
        self.said: dict[str, Readiness | None] = {}
        self.got: list[tuple[str, str]] = []
        self.ticks: asyncio.Queue[None] = asyncio.Queue()
        self.serving = ConsumerManager(
            self.broker,
            Installation(),
            lambda namespace: namespace == "shop",
            self.handler,
            say=lambda agent, readiness: self.said.__setitem__(agent.name, readiness),
            failed=lambda where: None,
            gather=0.0,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        await self.ticks.get()

    def handler(self, agent: LambdaAgent, served: ConsumerSpec) -> Handler:
        async def handle(delivery: BrokerDelivery) -> DeliveryOutcome:
            self.got.append((agent.name, delivery.event.id))
            return ACK

        return handle

    def message(self, name: str) -> str:
        found = self.said.get(name)
        return found.message if found is not None else ""

    def reason(self, name: str) -> str:
        found = self.said.get(name)
        return found.reason if found is not None else ""


def agent(name: str, **eventing: Any) -> LambdaAgent:
    spec = {"image": {"repository": "r"}} | ({"eventing": eventing} if eventing else {})
    return parse({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})
