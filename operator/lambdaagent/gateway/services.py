"""The dependencies of the handlers, stored in the application once and read through one typed key."""

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
        """Return after the broker's confirm; False if nothing takes the event. Raises TemporaryError."""
        ...


class Exchanges(Protocol):
    """Where events go. Each method returns the name of an exchange.

    Raises ProblemError (404) for an unknown Broker, and NotListedError.
    """

    def shared(self, namespace: str) -> str: ...
    def broker(self, namespace: str, broker: str) -> str: ...
    def agent(self, agent: LambdaAgent) -> str: ...


# Called with the request, the status of its response, and the cause, which is empty if the gateway does not know it.
Failed = Callable[[web.Request, int, str], None]


def unheard(_request: web.Request, _status: int, _why: str) -> None:
    """Ignore the failure: the client has its response, and the metrics count it."""


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
    failed: Failed  # called for each failed request
    takes_events: Callable[[str], bool]  # whether `ce-*` headers of a request to this path are an event's attributes


SERVICES = web.AppKey("services", Services)
ROUTE = web.RequestKey("route", str)
REQUEST_ID = web.RequestKey("request_id", str)
WHY = web.RequestKey("why", str)  # the cause of a failure, whatever the status of the response
ENTRY = web.RequestKey("entry", Entry)  # set if the host names an agent
