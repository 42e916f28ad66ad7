"""Opens the gateway's ports: the one for clients, that of plain HTTP beside one with TLS, and that of the probes.

The port of the probes is opened first and closed last, so that a gateway that starts or stops can be observed.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.cancellation import cancel
from lambdaagent.errors import UsageError
from lambdaagent.gateway.app import create_app, create_probe_app, make_runner
from lambdaagent.gateway.certificate import ServerCertificate
from lambdaagent.gateway.routes.route_types import RouteTable
from lambdaagent.gateway.services import Services
from lambdaagent.http_server import TlsSite


@dataclass(frozen=True, slots=True)
class Ports:
    clients: int
    plain: int | None = None
    metrics: int | None = None


async def listen(stack: AsyncExitStack, services: Services, *, table: RouteTable) -> Ports:
    """Listen until `stack` is closed. Raises UsageError if a port cannot be opened or the certificate not be used."""
    config, metrics, plain = services.config, None, None
    if config.metrics_port is not None:
        probes = make_runner(create_probe_app(services, table=table))
        await probes.setup()
        stack.push_async_callback(probes.cleanup)
        site = web.TCPSite(probes, config.host, config.metrics_port)
        metrics = await _open(site, probes, config.host, config.metrics_port, "LAMBDAAGENT_METRICS_PORT")
    runner = make_runner(create_app(services, table=table))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if config.tls is None:
        clients = await _open(
            web.TCPSite(runner, config.host, config.port),
            runner,
            config.host,
            config.port,
            "LAMBDAAGENT_PORT; dev also accepts --port",
        )
        return Ports(clients, metrics=metrics)
    certificate = ServerCertificate(config.tls)
    following = asyncio.create_task(certificate.follow(), name="certificate")
    stack.push_async_callback(cancel, following)
    site = TlsSite(runner, config.host, config.port, ssl_context=certificate.context)
    clients = await _open(site, runner, config.host, config.port, "LAMBDAAGENT_PORT")
    if config.plain_port is not None:
        site = web.TCPSite(runner, config.host, config.plain_port)
        plain = await _open(site, runner, config.host, config.plain_port, "LAMBDAAGENT_PLAIN_PORT")
    return Ports(clients, plain, metrics)


async def _open(site: web.TCPSite, runner: web.AppRunner, host: str, port: int, variable: str) -> int:
    """Return the port that is opened; it differs from `port` if that is 0."""
    known = len(runner.addresses)
    try:
        await site.start()
    except OSError as error:
        hint = f"choose another port ({variable}), or stop what listens there"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None
    opened: int = runner.addresses[known][1]
    return opened
