"""The gateway in an agent's own pod: it serves A2A and cards and passes every other request to the container.

It reads its one agent from its environment and never connects to the API server. The pod's other traffic (events from
Triggers, the agent's own pages) uses the same port and reaches the container unchanged. Tasks are kept in memory.

Where access is checked, a request reaches the container only from a caller that may call every skill, or with the
capability of a Broker. Hazard: the container's own port is open to whoever reaches the pod.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
import structlog
from aiohttp import web

from lambdaagent import clock as clocks
from lambdaagent.a2a.operations import Operation
from lambdaagent.access.actions import Action, Credential
from lambdaagent.access.principal import ANONYMOUS, GATEWAY
from lambdaagent.access.rules import Mode
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import parse_valid
from lambdaagent.api.workload import HealthCheck, Probe
from lambdaagent.children.sidecar import ALIVE, DELIVER, READY, sink_path
from lambdaagent.containers import who_asks
from lambdaagent.containers.post_event import post
from lambdaagent.errors import UsageError
from lambdaagent.events import capability
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.http import mode as event_mode
from lambdaagent.gateway import gc_tuning, probes
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import KEY_HEADER, PRINCIPAL
from lambdaagent.gateway.access.sidecar_guard import guarding
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.events import capabilities, ingress
from lambdaagent.gateway.http import bodies, passthrough, problems, request_target
from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError, unknown_agent
from lambdaagent.gateway.routes import agent_routes, gateway_routes
from lambdaagent.gateway.routes.gateway_routes import OBSERVED
from lambdaagent.gateway.routes.route_types import Route, RouteTable
from lambdaagent.gateway.services import ENTRY, SERVICES
from lambdaagent.gateway.serving import serve
from lambdaagent.httpclient import wire
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError, UpstreamError
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import SidecarSettings
from lambdaagent.store.memory import MemoryStore

log = structlog.get_logger(__name__)
_PROBE_SECONDS = 5.0
_SINK = "sink"


@dataclass(frozen=True, slots=True)
class Sink:
    """Forwards the agent's events to the URL that K_SINK would hold without the sidecar."""

    url: str
    client: HttpClient

    async def publish(self, event: Event, *, exchange: str) -> bool:
        parts = urlsplit(self.url)
        target = Target.parse(f"{parts.scheme}://{parts.netloc}")
        response = await post(self.client, target, event, path=parts.path or "/", title=str(target))
        return response.header(ingress.ROUTED.lower()) != "0"

    def shared(self, namespace: str) -> str:
        return _SINK

    def broker(self, namespace: str, broker: str) -> str:
        return _SINK

    def agent(self, agent: LambdaAgent) -> str:
        return _SINK


async def run(settings: SidecarSettings) -> None:
    """Run the sidecar until cancelled. Raises UsageError if LAMBDAAGENT_AGENT is not an agent or the port is taken."""
    agent = read_agent(settings.agent)
    async with AsyncExitStack() as stack:
        store, directory = MemoryStore(), Directory()
        client = HttpClient(limits=PoolLimits(connections=settings.agent_connections))
        stack.push_async_callback(store.close)
        url = f"http://127.0.0.1:{agent.spec.container_image.port}"
        directory.upsert(agent, url=url, ready=True, last_modified=datetime.now(UTC))
        entry = directory.get(agent.namespace, agent.name)
        if entry is None:
            raise UsageError("LAMBDAAGENT_AGENT: the agent has no spec.a2a; let the operator set this variable")
        sink, clock = Sink(settings.sink, client), clocks.system()
        guard = await stack.enter_async_context(guarding(settings, agent, clock))
        serving = await serve(
            stack,
            GatewayConfig(
                host=settings.host,
                port=settings.port,
                max_body=settings.max_body_bytes,
                max_header=settings.max_header_bytes,
                max_parts=settings.max_parts,
                max_batch=settings.max_batch_events,
            ),
            directory=directory,
            store=store,
            publisher=sink,
            exchanges=sink,
            client=client,
            clock=clock,
            ready=lambda: None,
            table=table(entry, sink=settings.sink, deliveries=settings.deliveries),
            guard=guard,
        )
        gc_tuning.settle()
        log.info("server.started", host=settings.host, port=serving.port, agent=agent.key, container=url)
        await asyncio.Event().wait()


def read_agent(text: str) -> LambdaAgent:
    try:
        found = parse_valid(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise UsageError(f"LAMBDAAGENT_AGENT is not JSON: {error}") from None
    if isinstance(found, LambdaAgent):
        return found
    raise UsageError(f"LAMBDAAGENT_AGENT: {'; '.join(map(str, found[:3]))}")


def table(entry: Entry, *, sink: str, deliveries: str = "") -> RouteTable:
    """Return the sidecar's routes. Where capabilities are configured, the sink's path holds one, so only a client that
    knows it can send events as the agent. `deliveries` are the hashes of those that Brokers have, with commas between.
    """
    hashes = frozenset(filter(None, deliveries.split(",")))

    async def ready(request: web.Request) -> web.Response:
        if why_not := await _why_not_ready(request, entry):
            detail = f"The container of {entry.agent.key} is not ready: {why_not}."
            raise ProblemError(503, "not-ready", detail, headers=RETRY_AFTER)
        return web.Response(text="ok\n")

    async def events(request: web.Request) -> web.Response:
        return await ingress.take(request, entry)

    async def deliver(request: web.Request) -> web.StreamResponse:
        if not capability.is_one_of(request.match_info["capability"], hashes):
            raise capabilities.refusal()
        return await _through(request, entry, path="/")

    async def all_else(request: web.Request) -> web.StreamResponse:
        if entry.enabled and agent_routes.is_ours(entry, request.path):
            request_target.require_plain(request)
            request[ENTRY] = entry
            await _require_seen(request, entry)
            return await agent_routes.serve(request, entry, request.path)
        event = event_mode(request.headers) is not None
        # Without capabilities, a Broker cannot be told from others.
        delivered = event and not hashes and request.method == "POST" and request.raw_path.partition("?")[0] == "/"
        if not delivered:
            await _require_caller(request, entry)
            if request.app[SERVICES].guard.mode is Mode.ENFORCE:
                await _require_of_no_other(request, entry, event=event)
        return await _through(request, entry)

    found = [
        OBSERVED(name="readyz", path=READY, handler=ready, summary="Whether the agent can be called"),
        OBSERVED(name="healthz", path=ALIVE, handler=probes.healthz, summary="Whether the sidecar runs"),
        OBSERVED(name="metrics", path="/-/metrics", handler=probes.metrics, summary="Metrics in Prometheus's format"),
    ]
    if sink:
        found.append(
            Route(
                name="events-from",
                method="POST",
                path=sink_path(sink),
                handler=events,
                action=Action.EMIT,
                credential=Credential.CAPABILITY,
                summary="Publish CloudEvents as the agent",
            )
        )
    if hashes:
        found.append(
            Route(
                name="events-to",
                method="POST",
                path=f"{DELIVER}/{{capability}}",
                handler=deliver,
                action=Action.DELIVER,
                credential=Credential.CAPABILITY,
                summary="Deliver CloudEvents to the agent",
            )
        )
    found += gateway_routes.protected_resources()
    found.append(
        Route(
            name="container",
            method="*",
            path="/{path:.*}",
            handler=all_else,
            action=Action.INVOKE,
            credential=Credential.CALLER,
            summary="The agent's A2A endpoint and card; every other request goes to the container",
        )
    )
    return RouteTable(found, takes_events=lambda path: not agent_routes.is_ours(entry, path), many_agents=False)


async def _why_not_ready(request: web.Request, entry: Entry) -> str | None:
    """Return why the container is not ready, by a request to its health path; None if it is ready.

    Knative does not probe a container behind a sidecar.
    """
    behavior, target = entry.agent.spec.behavior, entry.callee.target
    health = (behavior and behavior.health_check) or HealthCheck()
    probe = health.readiness or Probe()
    if not (health.enabled and probe.enabled) or target is None:
        return None
    path = probe.path or health.path
    seconds = float(probe.timeout_seconds or _PROBE_SECONDS)
    client = request.app[SERVICES].client
    try:
        response = await client.request(target, method="GET", path=path, first_byte=seconds, total=seconds)
        async with response:
            await response.read(limit=1024 * 1024)
    except UpstreamError as error:
        return f"GET {path}: {error}"
    return None if response.status < 400 else f"GET {path} answers {response.status}"


async def _require_seen(request: web.Request, entry: Entry) -> None:
    if await authorization.seen(request, entry) is None:
        raise unknown_agent(*entry.key)


async def _require_caller(request: web.Request, entry: Entry) -> None:
    """Raises ProblemError unless the caller may call every skill: what the container does here is not known."""
    if request.app[SERVICES].guard.off:
        return
    await _require_seen(request, entry)
    await authorization.require(request, entry, Action.INVOKE)
    await authorization.require_all_skills(request, entry)


async def _require_of_no_other(request: web.Request, entry: Entry, *, event: bool) -> None:
    """Raises ProblemError (403) if the request may reach what belongs to another caller: the container tells none
    apart. The gateway sees to that itself.
    """
    if request[PRINCIPAL].source == GATEWAY:
        return
    if event:  # it may name the source, the task and the context of another
        raise ProblemError(403, "no-delivery", "Only the agent's Broker delivers events to its container.")
    if entry.callee.protocol != "a2a":
        return
    for operation in (Operation.LIST, Operation.CANCEL):
        if not await authorization.reaches_all_tasks(request, entry, operation):
            detail = f"The container is an A2A server, where tasks have no owners. Use {entry.callee.base_path}."
            raise ProblemError(403, "no-owners", detail)


async def _through(request: web.Request, entry: Entry, *, path: str = "") -> web.StreamResponse:
    """Pass a request to the container and its response to the client, both streamed.

    Method, end-to-end headers, body, and the path unless another one is given stay the same; Host goes on as
    X-Forwarded-Host, and the credential of a known caller does not go on.
    """
    target, services = entry.callee.target, request.app[SERVICES]
    if target is None:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    seconds = entry.callee.answer_limit
    dropped = _REFRAMED | _credentials(request, entry)
    given = [pair for pair in wire.end_to_end(request.headers.items()) if pair[0].lower() not in dropped]
    headers = [*given, ("x-forwarded-host", request.headers.get("Host", ""))]
    length = request.content_length
    try:
        response = await services.client.request(
            target,
            # A response to HEAD is framed differently, so GET is sent and the body of its response is dropped below.
            method="GET" if request.method == "HEAD" else request.method,
            path=path or request.raw_path,
            headers=headers,
            body=bodies.passed_on(request) if request.body_exists else b"",
            length=length if request.body_exists else 0,
            first_byte=seconds,
            total=seconds,
        )
    except UpstreamError as error:
        raise problems.upstream(entry.agent.key, error) from error
    except BadTargetError as error:
        raise ProblemError(400, "bad-request", f"The request cannot be passed on: {error}.") from error
    async with response:
        if request.method == "HEAD":
            return web.Response(status=response.status, headers=wire.end_to_end(response.headers))
        return await passthrough.stream(request, response, agent=entry.agent.key)


def _credentials(request: web.Request, entry: Entry) -> frozenset[str]:
    """Return the headers of a credential that was the sidecar's: the container could call others with it.

    Where access is not checked, or nobody is known by it, the header is the container's own affair.
    """
    if request.get(PRINCIPAL, ANONYMOUS).anonymous:
        return frozenset()
    return frozenset(("authorization", KEY_HEADER.lower())) - frozenset(entry.callee.forward_headers)


_REFRAMED = frozenset(("host", "content-length", "x-forwarded-host", who_asks.HEADER))
