"""What the handlers stand on, put into the application once and read through one typed key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from lambdaagent.a2a.errors import Edition
from lambdaagent.a2a.signing import Signer
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.clock import Clock
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.http_server import HeadLimits
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.store.records import DeadLetterStore
from lambdaagent.tasks.engine import Engine


class EventPublisher(Protocol):
    async def publish(self, event: Event, *, exchange: str) -> bool:
        """Returns after the broker's confirm; False where no queue took it. Raises TemporaryError."""
        ...


class Exchanges(Protocol):
    """Where events go. Each raises PermanentError, or gives the name of an exchange."""

    def shared(self, namespace: str) -> str: ...
    def broker(self, namespace: str, broker: str) -> str: ...
    def agent(self, agent: LambdaAgent) -> str: ...


# The request, the status that it was answered with, and why; empty where only the client could say.
Failed = Callable[[web.Request, int, str], None]


def unheard(_request: web.Request, _status: int, _why: str) -> None:
    """Nobody listens: the client was answered, and the metrics count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    directory: Directory
    tasks: Engine
    letters: DeadLetterStore
    publisher: EventPublisher
    exchanges: Exchanges
    client: HttpClient
    metrics: GatewayMetrics
    clock: Clock
    ready: Callable[[], str | None]
    keys: Mapping[str, bytes]
    public_url: str
    trust_forwarded: bool
    max_body: int
    max_parts: int  # of a client's message
    max_batch: int  # events
    refuse_unrouted: bool  # events that no agent takes
    errors: Edition
    signer: Signer | None  # of cards
    heads: HeadLimits
    failed: Failed  # hears of each call that failed
    takes_events: Callable[[str], bool]  # whether `ce-*` headers of a request to this path are an event's attributes


SERVICES = web.AppKey("services", Services)
ROUTE = web.RequestKey("route", str)
REQUEST_ID = web.RequestKey("request_id", str)
WHY = web.RequestKey("why", str)  # of a request that failed, whatever the status of its answer
ENTRY = web.RequestKey("entry", Entry)  # set where the host names an agent
