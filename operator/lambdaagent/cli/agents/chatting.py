"""`lambdaagent chat`: a conversation with an agent."""

from typing import Annotated

import typer

from lambdaagent.cli.agents.options import AgentName, Folder, Skill
from lambdaagent.cli.coordination.options import LOCAL, Url
from lambdaagent.cli.gateway_client import Token, TokenFile


def chat(
    agent: AgentName,
    skill: Skill = "",
    context: Annotated[str, typer.Option(help="Id of a conversation to go on with.")] = "",
    output: Folder = "",
    url: Url = LOCAL,
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Talk to an agent, one message a line; what it asks back is answered by the next line.

    /new begins another conversation, /task shows ids, /quit leaves. Ctrl-C cancels a task that runs. Standard input may
    be a pipe; the exit code is that of the last message, as `call` has it.
    """
    from lambdaagent.cli.agents import directory
    from lambdaagent.cli.agents.a2a_client import A2aClient
    from lambdaagent.cli.agents.received_files import ReceivedFiles
    from lambdaagent.cli.agents.session import Session
    from lambdaagent.cli.agents.turns import INTERRUPTED
    from lambdaagent.cli.coordination.client import Gateway

    gateway = Gateway.of(url, token, token_file)
    client = A2aClient(gateway, directory.find(gateway, agent))
    files = ReceivedFiles(output) if output else None
    try:
        code = Session(client, skill=skill, files=files, context=context).run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code:
        raise typer.Exit(code)
