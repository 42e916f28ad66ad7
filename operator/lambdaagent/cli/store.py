"""`lambdaagent store`: commands for the database of the gateways, which may run meanwhile."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from lambdaagent.cli.groups import Group
from lambdaagent.cli.printing import say

if TYPE_CHECKING:
    from lambdaagent.settings import TaskSettings
    from lambdaagent.store.sealing import Sealing

app = typer.Typer(cls=Group, no_args_is_help=True, help="Maintain the database of LAMBDAAGENT_DATABASE.")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="store")


@app.callback()
def root() -> None:
    """Keep `rewrap` a command of its own: typer makes the only command of a group the group itself."""


@app.command()
def rewrap(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Change nothing; print how many values each key encrypts, and exit with code 1 "
            "unless the first key encrypts all that it should.",
        ),
    ] = False,
) -> None:
    """Encrypt everything with the first key of LAMBDAAGENT_STORE_KEYS; safe to interrupt, to repeat, and beside running
    gateways.
    """
    import asyncio

    from lambdaagent.cli import logs
    from lambdaagent.cli.processes import read_settings
    from lambdaagent.errors import UsageError
    from lambdaagent.settings import TaskSettings
    from lambdaagent.store.sealing import Sealing

    settings = read_settings(TaskSettings)
    logs.configure(level="error", form="text")
    if not settings.database.get_secret_value():
        raise UsageError("LAMBDAAGENT_DATABASE is empty: set it as for the gateway")
    sealing = Sealing(settings.sealing_keys, payloads=settings.encrypt_payloads)
    if not sealing.active and not check:
        raise UsageError("LAMBDAAGENT_STORE_KEYS is empty: set it as for the gateway")
    good = asyncio.run(_check(settings, sealing) if check else _rewrap(settings, sealing))
    if not good:
        raise typer.Exit(1)


async def _check(settings: "TaskSettings", sealing: "Sealing") -> bool:
    from lambdaagent.store import factory
    from lambdaagent.store.rewrap import counts, is_current

    store = await factory.open_sealed_rows(settings.database.get_secret_value(), settings.trust)
    try:
        found = await counts(store)
    finally:
        await store.close()
    for column, counted in found.items():
        typer.echo(f"{column}: {_counts(counted)}")
    if not found:
        typer.echo("the database is empty")
    unknown = sorted({kid for counted in found.values() for kid in counted} - {"plain"} - set(settings.sealing_keys))
    if unknown:
        say(f"LAMBDAAGENT_STORE_KEYS lacks {', '.join(unknown)}: what these keys encrypt cannot be read")
    return is_current(found, sealing)


async def _rewrap(settings: "TaskSettings", sealing: "Sealing") -> bool:
    from lambdaagent.store import factory
    from lambdaagent.store.rewrap import rewrap

    store = await factory.open_sealed_rows(settings.database.get_secret_value(), settings.trust)
    try:
        done = await rewrap(store, sealing, say)
    finally:
        await store.close()
    typer.echo(f"encrypted with {sealing.keyring.first}: {_counts(done.changed)}")
    for reason in done.reasons:
        say(reason)
    if done.unreadable:
        typer.echo(f"{len(done.unreadable)} rows could not be opened and stay as they are")
    if done.left:
        typer.echo(f"{done.left} rows changed too often meanwhile: run the command again")
    return not done.unreadable and not done.left


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items()) if number) or "nothing"
