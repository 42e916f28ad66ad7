"""A gateway put together and listening; whoever runs one brings the agents, the store and the broker."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.a2a.errors import Edition
from lambdaagent.a2a.signing import Signer
from lambdaagent.agents import outbound
from lambdaagent.agents.calls import HttpCaller
from lambdaagent.agents.client import Client
from lambdaagent.agents.clock import Clock
from lambdaagent.agents.notifying import HttpNotifier
from lambdaagent.agents.vouching import Voucher
from lambdaagent.errors import UsageError
from lambdaagent.gateway.app import create_app, make_runner
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.metrics import Metrics
from lambdaagent.gateway.services import Exchanges, Publisher
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.live import Limits
from lambdaagent.tasks.pushing import Pusher, Store


@dataclass(frozen=True, slots=True)
class Serving:
    port: int
    tasks: Engine


async def serve(
    stack: AsyncExitStack,
    *,
    directory: Directory,
    store: Store,
    publisher: Publisher,
    exchanges: Exchanges,
    client: Client,
    clock: Clock,
    ready: Callable[[], str | None],
    host: str,
    port: int,
    keys: Mapping[str, bytes],
    public_url: str,
    trust_forwarded: bool,
    max_body: int,
    shutdown_timeout: float,
    errors: Edition = Edition.LATEST,
    signer: Signer | None = None,
    voucher: Voucher | None = None,
    push_allow: Sequence[outbound.Network] = (),
    replica: str = "",
    limits: Limits | None = None,
    own_routes: Sequence[web.RouteDef] | None = None,
) -> Serving:
    """Listens until `stack` is closed; port 0 takes a free one. Raises UsageError where it cannot listen."""
    metrics = Metrics()
    notifier = HttpNotifier(outbound.public(allowed=push_allow), voucher=voucher)
    stack.push_async_callback(notifier.close)
    tasks = Engine(
        store=store,
        caller=HttpCaller(client=client, clock=clock),
        clock=clock,
        observer=metrics,
        lookup=directory.callee,
        pusher=Pusher(store=store, notifier=notifier, clock=clock, observer=metrics),
        replica=replica,
        limits=limits,
    )
    app = create_app(
        directory=directory,
        tasks=tasks,
        letters=store,
        publisher=publisher,
        exchanges=exchanges,
        client=client,
        metrics=metrics,
        clock=clock,
        ready=ready,
        keys=keys,
        public_url=public_url,
        trust_forwarded=trust_forwarded,
        max_body=max_body,
        errors=errors,
        signer=signer,
        own_routes=own_routes,
    )
    runner = make_runner(app, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        hint = "choose another port, or stop what listens there"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None
    return Serving(port=runner.addresses[0][1], tasks=tasks)
