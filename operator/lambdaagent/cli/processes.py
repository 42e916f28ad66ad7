"""Commands that are long-running processes: they end cleanly on SIGTERM and SIGINT, and report why they failed."""

from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lambdaagent.dev import folders
from lambdaagent.errors import UsageError

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

Settings = TypeVar("Settings", bound="BaseSettings")


def register(app: typer.Typer) -> None:
    app.command()(operator)
    app.command()(gateway)
    app.command()(dispatcher)
    app.command()(dev)


def operator() -> None:
    """Reconcile LambdaAgents; configured by LAMBDAAGENT_* variables."""
    from lambdaagent.cli import logs
    from lambdaagent.controller.operator import run
    from lambdaagent.settings import OperatorSettings

    settings = read_settings(OperatorSettings)
    logs.configure(level=settings.log_level, form=settings.log_format)
    run_until_signal(run(settings))


def dispatcher() -> None:
    """Deliver events from RabbitMQ's queues to agents; configured by LAMBDAAGENT_* variables."""
    from lambdaagent.cli import logs
    from lambdaagent.dispatcher.process import run
    from lambdaagent.settings import DispatcherSettings

    settings = read_settings(DispatcherSettings)
    logs.configure(level=settings.log_level, form=settings.log_format)
    run_until_signal(run(settings))


def gateway(
    sidecar: Annotated[bool, typer.Option("--sidecar", help="Serve only the agent in the same pod.")] = False,
) -> None:
    """Serve agents over A2A and accept events; configured by LAMBDAAGENT_* variables."""
    if sidecar:
        _sidecar()
        return
    from lambdaagent.cli import logs
    from lambdaagent.gateway.process import run
    from lambdaagent.settings import GatewaySettings

    settings = read_settings(GatewaySettings)
    logs.configure(level=settings.log_level, form=settings.log_format)
    run_until_signal(run(settings))


def _sidecar() -> None:
    from lambdaagent.cli import logs
    from lambdaagent.gateway.sidecar import run
    from lambdaagent.settings import SidecarSettings

    settings = read_settings(SidecarSettings)
    logs.configure(level=settings.log_level, form=settings.log_format)
    run_until_signal(run(settings))


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def dev(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Files or directories with LambdaAgents; default: current directory."),
    ] = None,
    host: Annotated[str, typer.Option(envvar="LAMBDAAGENT_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="LAMBDAAGENT_PORT", help="Port to listen on; 0 selects a free port.")
    ] = 8080,
    data: Annotated[Path, typer.Option(help="Directory for tasks and dead letters.")] = folders.DEFAULT,
    amqp: Annotated[
        str, typer.Option(envvar="LAMBDAAGENT_AMQP_URL", help="RabbitMQ to use instead of the in-process broker.")
    ] = "",
    insecure_open: Annotated[
        bool, typer.Option("--insecure-open", help="Listen on a --host that others reach, without checking access.")
    ] = False,
    command: Annotated[
        list[str] | None, typer.Option(metavar="[NS/]NAME=CMD", help="Command that starts an agent; may be repeated.")
    ] = None,
    log_level: Annotated[
        Level, typer.Option(envvar="LAMBDAAGENT_LOG_LEVEL", help="Least severe level that is logged.")
    ] = Level.INFO,
) -> None:
    """Run agents from files on this machine, callable over A2A and by events; no cluster is needed."""
    from lambdaagent.cli import logs
    from lambdaagent.dev import app, starting
    from lambdaagent.settings import GatewaySettings

    logs.configure(level=log_level, form="text")
    options = app.Options(
        paths=paths or ["."],
        host=host,
        port=port,
        data=data,
        amqp=amqp,
        insecure_open=insecure_open,
        commands=starting.overrides(command or []),
        settings=read_settings(GatewaySettings),
    )
    run_until_signal(app.run(options))


def run_until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop. The first SIGTERM or SIGINT cancels the work, which then has its own time limits to end."""
    import asyncio
    import contextlib
    import signal

    import uvloop

    async def main() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    uvloop.run(main())


def read_settings(model: type[Settings]) -> Settings:
    """Read the settings. Raises UsageError, which names the variable and not its value, because it may be a secret."""
    from pydantic import ValidationError

    from lambdaagent.coordination_settings import variable

    try:
        return model()
    except ValidationError as error:
        # A default that depends on other settings is missing if one of those is wrong, which is reported anyway.
        wrong = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
        details = "; ".join(f"{variable(str(item['loc'][0]))}: {item['msg']}" for item in wrong)
        raise UsageError(details) from None
