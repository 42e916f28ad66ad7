"""`lambdaagent events`: commands to send events and to handle those that could not be delivered."""

from typing import TYPE_CHECKING, Annotated

import typer

from lambdaagent.cli.dlq import commands as dlq
from lambdaagent.cli.groups import Group
from lambdaagent.errors import LambdaAgentError, TemporaryError, UsageError

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
    token: Annotated[
        str, typer.Option(envvar="LAMBDAAGENT_TOKEN", help="Credential for the gateway: a token or an API key.")
    ] = "",
    token_file: Annotated[str, typer.Option(help="File with the credential, in place of --token.")] = "",
) -> None:
    """Post one CloudEvent to a gateway and print whether an agent subscribes to it."""
    import asyncio
    import uuid

    from lambdaagent.events import http
    from lambdaagent.events.cloudevents import from_attributes
    from lambdaagent.events.errors import EventError

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url {url}: begins with neither http:// nor https://")
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
    if credential := _credential(token, token_file):
        headers.append(("Authorization", f"Bearer {credential}"))
    typer.echo(f"{attributes['id']} {asyncio.run(_post(target, headers, body))}")


def _credential(token: str, token_file: str) -> str:
    if token_file:
        from pathlib import Path

        try:
            token = Path(token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {token_file} cannot be read: {error}") from None
    if not token.strip().isprintable():
        raise UsageError("the credential has a line break or another control character")
    return token.strip()


def _read(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    from pathlib import Path

    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"--data {data}: {error.strerror}") from None


async def _post(url: str, headers: "http.Headers", body: bytes) -> str:
    import aiohttp

    from lambdaagent.cli.processes import read_settings
    from lambdaagent.events.event_urls import hide
    from lambdaagent.settings import TrustSettings
    from lambdaagent.trust import unreachable

    timeout = aiohttp.ClientTimeout(total=60, sock_connect=10)
    connector = aiohttp.TCPConnector(ssl=read_settings(TrustSettings).trust.context())
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.post(url, headers=headers, data=body, allow_redirects=False) as answer,
        ):
            said = (await answer.content.read(1000)).decode("utf-8", "replace")
            if not 200 <= answer.status < 300:
                raise LambdaAgentError(f"{hide(url)} answered {answer.status}: {said}")
            routed = answer.headers.get("LambdaAgent-Routed")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TemporaryError(f"{hide(url)} cannot be reached: {unreachable(error)}") from None
    # The header is the number of events in the request that an agent takes; this request has one.
    texts = {None: "accepted", "0": "accepted, but no agent subscribes to it"}
    return texts.get(routed, "accepted, and an agent subscribes to it")
