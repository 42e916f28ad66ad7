"""Declares the commands that find and call agents."""

import typer

from lambdaagent.cli.agents import calling, catalog, chatting, showing_card, tasks


def register(app: typer.Typer) -> None:
    app.add_typer(catalog.app, name="agents")
    app.command()(showing_card.card)
    app.command()(calling.call)
    app.command()(chatting.chat)
    app.add_typer(tasks.app, name="tasks")
