"""`lambdaagent call`: sends one message to an agent and prints what it answers, as it comes."""

from typing import Annotated

import typer

from lambdaagent.cli.agents.options import AgentName, Folder, Skill
from lambdaagent.cli.coordination.options import LOCAL, Url
from lambdaagent.cli.gateway_client import Token, TokenFile

Text = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Text of the message; - is standard input.")]
Files = Annotated[list[str] | None, typer.Option("--file", metavar="PATH", help="A file to send; may be repeated.")]
Data = Annotated[str, typer.Option(help="A JSON object to send, @FILE, or @- for standard input.")]


def call(
    agent: AgentName,
    text: Text = None,
    skill: Skill = "",
    file: Files = None,
    data: Data = "",
    context: Annotated[str, typer.Option(help="Id of the conversation to go on with.")] = "",
    task: Annotated[str, typer.Option(help="Id of the task to go on with, which waits for input.")] = "",
    immediately: Annotated[bool, typer.Option("--async", help="Print the id of the task and do not wait.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    output: Folder = "",
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Send a message to an agent and print its answer as it comes; Ctrl-C cancels the task.

    The answer goes to standard output, the states of the task to standard error. Exit codes: 0 the task is completed,
    1 it failed or was rejected or canceled, 3 it waits for input, 130 it was interrupted.
    """
    from lambdaagent.cli.agents import composing, directory, turns
    from lambdaagent.cli.agents.a2a_client import A2aClient
    from lambdaagent.cli.agents.received_files import ReceivedFiles
    from lambdaagent.cli.coordination.client import Gateway
    from lambdaagent.errors import UsageError

    if immediately and output:
        raise UsageError("--output is for the files of an answer, for which --async does not wait")
    directory.split(agent)
    given = composing.standard_input() if text == "-" else text
    params = composing.message(composing.parts(given, data, file or []), skill=skill, context=context, task=task)
    gateway = Gateway.of(url, token, token_file)
    client = A2aClient(gateway, directory.find(gateway, agent))
    if immediately:
        turns.begin(client, params, as_json=as_json)
        return
    files = ReceivedFiles(output) if output else None
    if code := turns.Turn(client, files, as_json=as_json).run(params):
        raise typer.Exit(code)
