"""Declares the groups of commands for coordination."""

import typer

from lambdaagent.cli.coordination import context, job, message, proposal, registry, workflow


def register(app: typer.Typer) -> None:
    groups = {
        "registry": registry, "message": message, "context": context, "job": job, "proposal": proposal,
        "workflow": workflow,
    }  # fmt: skip
    for name, module in groups.items():
        app.add_typer(module.app, name=name)
