"""Commands that are long-running processes: they end cleanly on SIGTERM and SIGINT, and say why when they end badly."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from lambdaagent.cli import logs
from lambdaagent.errors import UsageError

Settings = TypeVar("Settings", bound=BaseSettings)


def register(app: typer.Typer) -> None:
    app.command()(operator)


def operator() -> None:
    """Reconcile LambdaAgents; configured by LAMBDAAGENT_* variables."""
    from lambdaagent.controller.operator import run
    from lambdaagent.settings import OperatorSettings

    settings = read_settings(OperatorSettings)
    logs.configure(level=settings.log_level, form=settings.log_format)
    run_until_signal(run(settings))


def run_until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Runs on uvloop; the first SIGTERM or SIGINT cancels the work, which then has its own time to end well."""

    async def main() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    uvloop.run(main())


def read_settings(model: type[Settings]) -> Settings:
    """Raises UsageError that names the variable and not its value, which may be a secret."""
    try:
        return model()
    except ValidationError as error:
        details = "; ".join(f"LAMBDAAGENT_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise UsageError(details) from None
