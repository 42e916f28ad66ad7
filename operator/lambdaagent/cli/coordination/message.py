"""`lambdaagent message`: messages to agents, and the mailbox of an agent without an address."""

from typing import Annotated, Any

import typer

from lambdaagent.cli.coordination.options import LOCAL, AsAgent, Data, Output, Url, Watch
from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group
from lambdaagent.cli.tools import Form

app = typer.Typer(cls=Group, no_args_is_help=True, help="Send messages to agents, and read an agent's mailbox.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the message.")]
Mailbox = Annotated[
    str, typer.Option(envvar="LAMBDAAGENT_AGENT", help="The agent whose mailbox it is; default: yourself.")
]
_RECEIPT = {"MESSAGE": "message_id", "TO": "receiver_agent_id", "STATUS": "status", "RECEIVERS": "receivers"}
_COLUMNS = {"MESSAGE": "message_id", "FROM": "sender_agent_id", "KIND": "message_type", "CONTENT": "content"}
_SUBSCRIPTION = {"SUBSCRIPTION": "subscription_id", "AGENT": "agent_id", "TOPIC": "topic"}
_WAIT = 30  # seconds of a long poll


@app.command()
def send(
    to: Annotated[str, typer.Argument(metavar="TO", help="An agent, several with commas, topic:NAME, or * for all.")],
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Text of the message; --data has JSON instead.")] = "",
    sender: AsAgent = "",
    kind: Annotated[str, typer.Option("--type", help="request, notification, response or error.")] = "notification",
    data: Data = "",
    session: Annotated[str, typer.Option(help="The conversation that it belongs to.")] = "",
    answers: Annotated[str, typer.Option(help="Id of the message that it answers.")] = "",
    priority: Annotated[int | None, typer.Option(min=1, max=10, help="10 is first; default: 5.")] = None,
    ttl: Annotated[int | None, typer.Option(min=1, help="Seconds after which it is given up.")] = None,
    id_: Annotated[str, typer.Option("--id", help="Id of the message: sent again, it is the same one.")] = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Send a message; it is durable when the command returns."""
    from lambdaagent.cli.coordination import client
    from lambdaagent.errors import UsageError

    if bool(text) == bool(data):
        raise UsageError("give either TEXT or --data")
    receivers = [each.strip() for each in to.split(",") if each.strip()]
    body = client.without_none(
        message_id=id_, session_id=session, sender_agent_id=client.acting(sender), message_type=kind,
        receiver_agent_id=receivers[0] if len(receivers) == 1 else receivers,
    )  # fmt: skip
    body["content"] = {"text": text} if text else client.data(data)
    body["metadata"] = client.without_none(priority=priority, ttl=ttl, correlation_id=answers)
    _show(client.Gateway.of(url, token, token_file).call("POST", "/a2a/message", body=body), _RECEIPT, output)


@app.command("list")
def list_messages(
    agent: Mailbox = "",
    acknowledge: Annotated[bool, typer.Option("--ack", help="Acknowledge each message once it is printed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Messages at once.")] = 10,
    watch: Watch = False,
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Read the mailbox of an agent; what is not acknowledged comes again."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway, Json

    gateway = Gateway.of(url, token, token_file)
    view = showing.View(_COLUMNS, key="message_id")

    def look(*, wait: int = 0) -> list[Json]:
        asked = {"agent": agent, "wait": wait, "limit": limit}
        return [_row(each) for each in gateway.call("GET", "/a2a/messages", params=asked)["messages"]]

    def done(message: Json) -> None:
        if acknowledge:
            _acknowledge(gateway, message["message_id"], agent)

    if watch:
        showing.watched(lambda: look(wait=_WAIT), view, output, wait=0.2, after=done)
        return
    found = look()
    showing.many(found, view, output)
    for each in found:
        done(each)


@app.command()
def get(id_: Id, output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Show a message that you sent or got, and what became of it."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    found = Gateway.of(url, token, token_file).call("GET", f"/a2a/messages/{in_path(id_)}")
    _show(found, {"MESSAGE": "message_id", "STATUS": "status", "RECEIVERS": "receivers"}, output)


@app.command()
def ack(id_: Id, agent: Mailbox = "", url: Url = LOCAL, token: Token = "", token_file: TokenFile = "") -> None:
    """Say that an agent has a message."""
    from lambdaagent.cli.coordination.client import Gateway

    _acknowledge(Gateway.of(url, token, token_file), id_, agent)
    typer.echo(f"{id_} acknowledged")


@app.command()
def subscribe(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic, PREFIX.*, or * for all.")],
    agent: AsAgent = "",
    output: Output = Form.TABLE,
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Subscribe an agent to a topic."""
    from lambdaagent.cli.coordination.client import Gateway, acting

    body = {"agent_id": acting(agent), "topic": topic}
    _show(Gateway.of(url, token, token_file).call("POST", "/a2a/subscriptions", body=body), _SUBSCRIPTION, output)


@app.command()
def subscriptions(
    agent: Mailbox = "", output: Output = Form.TABLE, url: Url = LOCAL, token: Token = "", token_file: TokenFile = ""
) -> None:
    """List the subscriptions of an agent."""
    from lambdaagent.cli.coordination import showing
    from lambdaagent.cli.coordination.client import Gateway

    found = Gateway.of(url, token, token_file).call("GET", "/a2a/subscriptions", params={"agent": agent})
    showing.many(found["subscriptions"], showing.View(_SUBSCRIPTION, key="subscription_id"), output)


@app.command()
def unsubscribe(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the subscription.")],
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """End a subscription."""
    from lambdaagent.cli.coordination.client import Gateway, in_path

    Gateway.of(url, token, token_file).call("DELETE", f"/a2a/subscriptions/{in_path(id_)}")
    typer.echo(f"{id_} deleted")


def _acknowledge(gateway: Any, id_: str, agent: str) -> None:
    from lambdaagent.cli.coordination.client import in_path

    gateway.call("POST", f"/a2a/messages/{in_path(id_)}/ack", params={"agent": agent})


def _row(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of either form with the names of requirement 001, which the table shows."""
    if "sender_agent_id" in message:
        return message
    return {"sender_agent_id": message["from"], "message_type": message["content"]["type"], **message}


def _show(found: dict[str, Any], columns: dict[str, str], output: Form) -> None:
    from lambdaagent.cli.coordination import showing

    showing.one(found, showing.View(columns, key="message_id"), output)
