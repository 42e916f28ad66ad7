"""The options that the commands of coordination share."""

from typing import Annotated

import typer

from lambdaagent.cli.tools import Form

Url = Annotated[str, typer.Option(envvar="LAMBDAAGENT_GATEWAY_URL", help="URL of the gateway.")]
LOCAL = "http://127.0.0.1:8080"
Output = Annotated[Form, typer.Option("--output", "-o", help="Output format.")]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Go on, and print what changes; as JSON, one document a line.")
]
AsAgent = Annotated[
    str,
    typer.Option(
        "--from", envvar="LAMBDAAGENT_AGENT", help="The agent as which you act: yourself, or one that you registered."
    ),
]
Data = Annotated[str, typer.Option(help="A JSON object, @FILE, or @- for standard input.")]
Seconds = Annotated[int | None, typer.Option(min=1, help="Seconds, in place of the gateway's default.")]
