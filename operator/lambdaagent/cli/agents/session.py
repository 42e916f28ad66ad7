"""A conversation in the terminal, or over a pipe: one message a line, one answer after another."""

import contextlib
import sys

from lambdaagent.cli.agents import composing
from lambdaagent.cli.agents.a2a_client import A2aClient, RpcError
from lambdaagent.cli.agents.options import CONTINUED
from lambdaagent.cli.agents.received_files import ReceivedFiles
from lambdaagent.cli.agents.turns import INTERRUPTED, Turn
from lambdaagent.cli.printing import say
from lambdaagent.errors import LambdaAgentError, UsageError

_LINE = 1024 * 1024  # bytes of a message
COMMANDS = {
    "/new": "begin another conversation",
    "/task": "show the ids of conversation and task",
    "/help": "show these commands",
    "/quit": "leave",
}


class Session:
    def __init__(self, client: A2aClient, *, skill: str, files: ReceivedFiles | None, context: str = "") -> None:
        self._client = client
        self._skill = skill
        self._files = files
        self._context = context
        self._last_task = ""
        self._waiting = ""  # the task that asked for input
        self._typed = sys.stdin.isatty()

    def run(self) -> int:
        """Talk until the input ends, and return the exit code of the last message."""
        if self._typed:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  # input() edits lines by it
            say(f"You talk to {self._client.agent.key}. /help shows the commands.")
        code = 0
        while (line := self._line()) is not None:
            text = line.strip()
            if text == "/quit":
                break
            if text in COMMANDS:
                self._command(text)
            elif text.startswith("/") and not text.startswith("//") and text[1:].isalpha():
                say(f"there is no command {text}; /help shows the commands, and // begins a message with a slash")
            elif text:
                code = self._say(text.removeprefix("/") if text.startswith("//") else text)
                if code == INTERRUPTED and not self._typed:
                    break
        return code

    def _say(self, text: str) -> int:
        turn = Turn(self._client, self._files, in_chat=True)
        try:
            content = composing.parts(text, "", [])
            skill = "" if self._waiting else self._skill
            params = composing.message(content, skill=skill, context=self._context, task=self._waiting)
            code = turn.run(params)
        except LambdaAgentError as error:
            say(f"lambdaagent: {error}")
            if isinstance(error, RpcError):
                self._waiting = ""  # the task may have ended elsewhere
            return 2 if isinstance(error, UsageError) else 1
        self._context = turn.known.context_id or self._context
        self._last_task = turn.known.task_id or self._last_task
        self._waiting = turn.known.task_id if code == CONTINUED else ""
        return code

    def _command(self, text: str) -> None:
        if text == "/new":
            self._context = self._waiting = self._last_task = ""
            say("a new conversation")
        elif text == "/task":
            waits = ", which waits for your answer" if self._waiting else ""
            say(f"context {self._context or '-'}, task {self._last_task or '-'}{waits}")
        else:
            for name, meaning in COMMANDS.items():
                say(f"{name:8}{meaning}")

    def _line(self) -> str | None:
        """Return the next line, None at the end."""
        if self._typed:
            try:
                return input("answer> " if self._waiting else "> ")
            except EOFError:
                say("")
                return None
        content = sys.stdin.buffer.readline(_LINE + 1)
        if len(content) > _LINE:
            raise UsageError(f"a line has more than {_LINE} bytes; send a longer text with `lambdaagent call`")
        return content.decode("utf-8", "replace") if content else None
