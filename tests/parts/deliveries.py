"""Deliveries to an agent that is a real HTTP server."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lambdaagent.broker.protocol import BrokerDelivery
from lambdaagent.dispatcher.delivery import Deliverer
from lambdaagent.events.cloudevents import Event

EVENT = Event(id="1", source="/s", type="t", data=b"data")


class Agent:
    """An agent that sends `answers` in order, then 202."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.calls = 0
        self.attempts: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        assert request.headers["ce-id"] == "1"
        self.attempts.append(request.headers["ce-attempt"])
        return self.answers.pop(0) if self.answers else web.Response(status=202)


# Makes a deliverer from options, with its replies and the outcomes that it counted.
Make = Callable[..., tuple[Deliverer, list[Event], Counter[str]]]


class Observed(Counter[str]):
    """Counts the outcomes of deliveries."""

    def delivery(self, outcome: str) -> None:
        self[outcome] += 1


def delivery(attempt: int = 1, **options: Any) -> BrokerDelivery:
    return BrokerDelivery(EVENT, "queue", attempt, **options)
