"""`lambdaagent events`: commands to send events and to handle those that could not be delivered."""

from typing import TYPE_CHECKING, Annotated

import typer

from lambdaagent.cli.dlq import commands as dlq
from lambdaagent.cli.gateway_client import Token, TokenFile, credential, request
from lambdaagent.cli.groups import Group
from lambdaagent.errors import LambdaAgentError, UsageError

if TYPE_CHECKING:
    from lambdaagent.events import http

app = typer.Typer(cls=Group, no_args_is_help=True, help="Send events, and handle those that could not be delivered.")
app.add_typer(dlq.app, name="dlq")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="events")


@app.command()
def send(
    type_: Annotated[str, typer.Option("--type", help="Type of the event.")],
    source: Annotated[str, typer.Option(help="Source of the event, a URI reference.")] = "/lambdaagent/cli",
    data: Annotated[str, typer.Option(help="Data of the event, or @FILE.")] = "",
    url: Annotated[str, typer.Option(help="URL of the gateway, or a complete event URL.")] = "http://127.0.0.1:8080",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the receivers.")] = "default",
    event_id: Annotated[str, typer.Option("--id", help="ID of the event; default: a new one.")] = "",
    subject: Annotated[str, typer.Option(help="Subject of the event.")] = "",
    content_type: Annotated[str, typer.Option(help="Media type of the data.")] = "application/json",
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Post one CloudEvent to a gateway and print whether an agent subscribes to it."""
    import uuid

    from lambdaagent.events import http
    from lambdaagent.events.cloudevents import from_attributes
    from lambdaagent.events.errors import EventError

    attributes = {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": source,
        "type": type_,
        "subject": subject or None,
        "datacontenttype": content_type if data else None,
    }
    try:
        event = from_attributes(attributes, data=_read(data))
    except EventError as error:
        raise UsageError(f"this is not an event: {error}") from None
    target = url if "/events/" in url else f"{url.rstrip('/')}/events/{namespace}"
    headers, body = http.binary(event)
    said = credential(token, token_file)
    typer.echo(f"{attributes['id']} {_post(target, headers, body, token=said)}")


def _read(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    from pathlib import Path

    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"--data {data}: {error.strerror}") from None


def _post(url: str, headers: "http.Headers", body: bytes, *, token: str) -> str:
    from lambdaagent.events.event_urls import hide

    answer = request("POST", url, token=token, headers=headers, body=body)
    if not 200 <= answer.status < 300:
        raise LambdaAgentError(f"{hide(url)} answered {answer.status}: {answer.text}")
    # The header is the number of events in the request that an agent takes; this request has one.
    texts = {None: "accepted", "0": "accepted, but no agent subscribes to it"}
    return texts.get(answer.headers.get("lambdaagent-routed"), "accepted, and an agent subscribes to it")
