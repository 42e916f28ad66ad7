"""The dependencies of the handlers, stored in the application once and read through one typed key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from lambdaagent.access.rates import Buckets
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.clock import Clock
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.schema_checks import SchemaChecks
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.store.records import DeadLetterStore
from lambdaagent.tasks.engine import Engine

if TYPE_CHECKING:  # its import costs SQLAlchemy's, which a sidecar does not need
    from lambdaagent.gateway.coordination.parts import Coordination


class EventPublisher(Protocol):
    async def publish(self, event: Event, *, exchange: str) -> bool:
        """Return after the broker's confirm; False if nothing takes the event. Raises the errors of
        `broker.errors` and `gateway.events.errors`."""
        ...


class Exchanges(Protocol):
    """Where events go. Each method returns the name of an exchange.

    Raises UnknownBrokerError and NotListedError.
    """

    def shared(self, namespace: str) -> str: ...
    def broker(self, namespace: str, broker: str) -> str: ...
    def agent(self, agent: LambdaAgent) -> str: ...


# Called with the request, the status of its response, and the cause, which is empty if the gateway does not know it.
Failed = Callable[[web.Request, int, str], None]


def ignore_failure(_request: web.Request, _status: int, _why: str) -> None:
    """Ignore the failure: the client has its response, and the metrics count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    config: GatewayConfig
    directory: Directory
    tasks: Engine
    letters: DeadLetterStore
    publisher: EventPublisher
    exchanges: Exchanges
    client: HttpClient
    metrics: GatewayMetrics
    clock: Clock
    ready: Callable[[], str | None]  # why the gateway is not ready, or None
    guard: Guard = field(default_factory=Guard)
    told: WhoAsks = field(default_factory=WhoAsks)
    external: ExternalCalls | None = None  # without it, no external agent is called
    buckets: Buckets = field(default_factory=Buckets)
    failed: Failed = ignore_failure
    coordination: "Coordination | None" = None  # None in a sidecar
    schema_checks: SchemaChecks = field(default_factory=SchemaChecks)


SERVICES = web.AppKey("services", Services)
ROUTE = web.RequestKey("route", str)
REQUEST_ID = web.RequestKey("request_id", str)
WHY = web.RequestKey("why", str)  # the cause of a failure, whatever the status of the response
ENTRY = web.RequestKey("entry", Entry)  # set if the host names an agent
