"""`lambdaagent migrate`: run by a Job of the chart before the gateways of a new version start."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with code 1 if the gateway cannot use the schema.")
    ] = False,
) -> None:
    """Migrate the PostgreSQL of LAMBDAAGENT_DATABASE to this version's schema; safe to repeat or run concurrently."""
    import asyncio

    from lambdaagent.cli.processes import read_settings
    from lambdaagent.settings import TaskSettings
    from lambdaagent.store import factory

    settings = read_settings(TaskSettings)
    work = factory.migrate(settings.database.get_secret_value(), check=check, trust=settings.trust)
    said, good = asyncio.run(work)
    typer.echo(said)
    if not good:
        raise typer.Exit(1)
