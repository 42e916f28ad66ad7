"""A whole gateway on a real socket, with a broker in this process that can be unavailable."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession, TCPConnector, web
from multidict import CIMultiDict
from tests.parts.polling import eventually

from lambdaagent import clock as clocks
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.containers.call import HttpCaller
from lambdaagent.containers.external import ExternalCalls, SecretHeaders, no_secrets
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.errors import TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.access import standing_rights
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.app import IDLE, create_app, make_runner
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.coordination import parts
from lambdaagent.gateway.coordination.workflow_caller import WorkflowCaller
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.http.bodies import Pace
from lambdaagent.gateway.http.sse import Streams
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.routes import gateway_routes
from lambdaagent.gateway.routes.route_types import RouteTable
from lambdaagent.gateway.services import Services
from lambdaagent.gateway.serving import RunningGateway, receivers, serve
from lambdaagent.http_server import STALLED
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.identity import assertions
from lambdaagent.store import factory
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.store import SqliteStore
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.limits import EngineLimits as TaskLimits
from lambdaagent.tasks.push_delivery import PushDelivery
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_request import HttpPushNotifier

CHANGED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Broker:
    """Exchanges with bindings by event type; an event without a binding is confirmed and not routed."""

    bindings: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    down: bool = False

    def bind(self, exchange: str, event_type: str) -> list[Event]:
        return self.bindings.setdefault((exchange, event_type), [])

    async def publish(self, event: Event, *, exchange: str) -> bool:
        if self.down:
            raise TemporaryError("the broker does not answer")
        await asyncio.sleep(0)
        queue = self.bindings.get((exchange, event.type))
        if queue is None:
            return False
        queue.append(event)
        return True


class Exchanges:
    def shared(self, namespace: str) -> str:
        return f"{namespace}/shared"

    def broker(self, namespace: str, broker: str) -> str:
        return f"{namespace}/{broker}"

    def agent(self, agent: LambdaAgent) -> str:
        return f"{agent.namespace}/shared"


@dataclass
class Answer:
    """A response with its body, which stays after the connection is closed."""

    status: int
    headers: CIMultiDict[str]
    content_type: str
    body: bytes

    async def read(self) -> bytes:
        return self.body

    async def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class World:
    directory: Directory
    broker: Broker
    store: MemoryStore | SqliteStore
    engine: Engine
    client: HttpClient
    url: str
    session: ClientSession
    streams: Streams
    app: web.Application
    services: Services

    @property
    def guard(self) -> Guard:
        return self.services.guard

    def agent(
        self, name: str = "echo", *, namespace: str = "shop", url: str | None, ready: bool = True, **a2a: Any
    ) -> LambdaAgent:
        """Adds an agent; it has the skill `say` unless `a2a` names others."""
        spec = {"enabled": True, "skills": [skill("say")], **a2a}
        return self.add(manifest(name, namespace=namespace, a2a=spec), url=url, ready=ready)

    def add(self, obj: dict[str, Any], *, url: str | None, ready: bool = True) -> LambdaAgent:
        agent = parse(obj)
        self.directory.upsert(agent, url=url, ready=ready, last_modified=CHANGED)
        return agent

    async def rpc(
        self,
        method: str,
        params: Any,
        *,
        path: str = "/agents/shop/echo/api/a2a",
        version: str | None = "1.0",
        **headers: str,
    ) -> dict[str, Any]:
        sent = {"A2A-Version": version, **headers} if version is not None else headers
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.session.post(self.url + path, json=body, headers=sent) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def ended(self, task_id: str) -> dict[str, Any]:
        """Waits until the task of `shop/echo` is no longer working, and returns it."""

        async def check() -> Any:
            task = (await self.rpc("GetTask", {"id": task_id}))["result"]
            return task if task["status"]["state"] != "TASK_STATE_WORKING" else None

        task: dict[str, Any] = await eventually(check, what=f"the end of task {task_id}")
        return task

    async def report(self, task_id: str, text: str = "late", **more: Any) -> int:
        """Posts an event of the container of `shop/echo` about its task, and returns the status of the response."""
        event = {
            "specversion": "1.0",
            "id": "1",
            "source": "/s",
            "type": "io.knative.lambda.response.success",
            "a2ataskid": task_id,
            "datacontenttype": "text/plain",
            "data": text,
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        path = "/events/shop/from/echo"
        return (await self.request("POST", path, data=orjson.dumps(event | more), headers=headers)).status

    async def request(self, method: str, path: str, **kwargs: Any) -> "Answer":
        async with self.session.request(method, self.url + path, **kwargs) as response:
            return Answer(response.status, response.headers.copy(), response.content_type, await response.read())


def skill(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": id_.title(), "description": f"Can {id_}.", "tags": ["talk"], **more}


def manifest(
    name: str = "echo", *, namespace: str = "shop", a2a: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {"image": {"repository": "example.com/echo", "tag": "v1"}, **spec}
    if a2a is not None:
        body["a2a"] = a2a
    return {"metadata": {"name": name, "namespace": namespace}, "spec": body}


def message(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}


@asynccontextmanager
async def world(
    *,
    database: Path | None = None,
    limits: PoolLimits | None = None,
    ready: Callable[[], str | None] = lambda: None,
    clock: clocks.Clock | None = None,
    idle: float = IDLE,
    stalled: float = STALLED,
    tasks: TaskLimits | None = None,
    streams: Streams | None = None,
    pace: Pace | None = None,
    table: RouteTable | None = None,
    guard: Guard | None = None,
    sealing: Sealing | None = None,
    on_loopback: bool = True,
    secret_headers: SecretHeaders = no_secrets,
    **config: Any,
) -> AsyncIterator[World]:
    """Starts a gateway and stops it at the end; `config` holds fields of GatewayConfig.

    `on_loopback`: it may call external agents that are on this machine. `secret_headers` reads their credentials.
    """
    made = GatewayConfig(**{"stop_grace": 0.0, "shutdown_timeout": 0.5, **config})
    directory, broker, client, metrics = (
        Directory(),
        Broker(),
        HttpClient(limits=limits),
        GatewayMetrics(sealing.failures if sealing is not None else None),
    )
    clock = clock or clocks.system()
    store = await SqliteStore.open(database, sealing=sealing) if database is not None else MemoryStore()
    told = WhoAsks(assertions.statement(made.card_signer, clock))
    guard = guard or Guard()
    local = replace(made, push_allow=[ip_network("127.0.0.0/8")])
    check = receivers(local if on_loopback else made, guard)
    checked = HttpClient(limits=limits, tls=made.trust.context, dial=partial(address_check.dial, check=check))
    external = ExternalCalls(checked, secret_headers)
    called = HttpCaller(client=client, clock=clock, told=told, external=external)
    caller = WorkflowCaller(called, namespace=made.registry_namespace, clock=clock)
    notifier = HttpPushNotifier(receivers(local, guard), signer=made.push_signer)
    denied = standing_rights.of_pushes(guard, directory)
    pusher = PushDelivery(store=store, notifier=notifier, clock=clock, observer=metrics, denied=denied)
    engine = Engine(
        store=store,
        caller=caller,
        clock=clock,
        observer=metrics,
        lookup=directory.callee,
        pusher=pusher,
        limits=tasks,
        shared_context=lambda owner, context_id: coordination.shared_context(owner, context_id),
        canceled=lambda record: caller.canceled(record.namespace, record.agent, record.id, record.owner),
    )
    stack = AsyncExitStack()
    shared = factory.open_coordination(store, clock)
    coordination = await stack.enter_async_context(
        parts.running(
            shared,
            made,
            directory=directory,
            publisher=broker,
            exchanges=Exchanges(),
            metrics=metrics,
            check=receivers(local if on_loopback else made, guard),
            tasks=engine,
            client=client,
            clock=clock,
            told=told,
            guard=guard,
            caller=caller,
        )
    )
    services = Services(
        config=made,
        directory=directory,
        tasks=engine,
        letters=store,
        publisher=broker,
        exchanges=Exchanges(),
        client=client,
        metrics=metrics,
        clock=clock,
        ready=ready,
        guard=guard,
        told=told,
        coordination=coordination,
        external=external,
    )
    streams = streams or Streams()
    app = create_app(services, table=table or gateway_routes.table(), streams=streams, pace=pace)
    runner = make_runner(app, idle=idle, stalled=stalled)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ClientSession(connector=TCPConnector(force_close=False)) as session:
        try:
            yield World(directory, broker, store, engine, client, url, session, streams, app, services)
        finally:
            await runner.cleanup()
            await stack.aclose()
            await shared.close()
            await checked.close()
            await store.close()


@asynccontextmanager
async def served(
    *, ready: Callable[[], str | None] = lambda: None, guard: Guard | None = None, **config: Any
) -> AsyncIterator[RunningGateway]:
    """Starts a gateway without agents on the ports of its configuration, by the code that its process uses."""
    made = GatewayConfig(**{"stop_grace": 0.0, "shutdown_timeout": 0.5, **config})
    async with AsyncExitStack() as stack:
        store = MemoryStore()
        stack.push_async_callback(store.close)
        yield await serve(
            stack,
            made,
            directory=Directory(),
            store=store,
            publisher=Broker(),
            exchanges=Exchanges(),
            client=HttpClient(),
            clock=clocks.system(),
            ready=ready,
            guard=guard,
        )
