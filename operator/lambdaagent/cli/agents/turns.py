"""One message to an agent and what comes of it: printed, canceled by Ctrl-C, and as an exit code."""

import os
import shlex
import sys

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.cli.agents import following
from lambdaagent.cli.agents.a2a_client import A2aClient
from lambdaagent.cli.agents.following import Followed
from lambdaagent.cli.agents.options import CONTINUED
from lambdaagent.cli.agents.received_files import ReceivedFiles
from lambdaagent.cli.agents.transcript import Transcript, plain_text
from lambdaagent.cli.coordination.options import LOCAL
from lambdaagent.cli.printing import one_line, print_json, print_names, say
from lambdaagent.errors import LambdaAgentError

INTERRUPTED = 130


class Turn:
    """`as_json`: each event is printed as a line of JSON. `in_chat`: the next line of the input answers a question."""

    def __init__(
        self, client: A2aClient, files: ReceivedFiles | None, *, as_json: bool = False, in_chat: bool = False
    ) -> None:
        self._client = client
        self._in_chat = in_chat
        self._transcript = Transcript(files)
        self._as_json = as_json
        self.known = Followed()

    def run(self, params: Json) -> int:
        """Send the message, print what comes, and return the exit code. Raises LambdaAgentError."""
        task_id = str(params["message"].get("taskId", ""))
        if task_id:
            self._transcript.skip(self._client.call("GetTask", {"id": task_id, "historyLength": 0}))
        self.known = Followed(task_id)
        try:
            for result in following.send(self._client, params, self.known):
                self._print(result)
        except KeyboardInterrupt:
            self._transcript.break_line()
            self._cancel()
            return INTERRUPTED
        finally:
            self._transcript.break_line()
        return self._conclude()

    def _print(self, result: Json) -> None:
        if self._as_json:
            print_json(result, indent=None)
            sys.stdout.flush()
            self._transcript.note(result)
        else:
            self._transcript.take(result)

    def _cancel(self) -> None:
        agent, task_id = self._client.agent.key, self.known.task_id
        if not task_id:
            say(f"interrupted before the task had an id; `lambdaagent tasks list {agent}` shows whether it was created")
            return
        try:
            self._client.call("CancelTask", {"id": task_id})
        except LambdaAgentError as error:
            say(f"interrupted, but the task {task_id} is not canceled: {error}")
        else:
            say(f"interrupted; the task {task_id} is canceled")

    def _conclude(self) -> int:
        state, said = self.known.state, plain_text(self._transcript.message)
        if self.known.is_message or state is None or state is TaskState.COMPLETED:
            return 0
        if not state.terminal:
            if not self._as_json:
                self._transcript.parts(self._transcript.message)
            if not self._in_chat:
                say(f"{self._client.agent.key} waits ({state.v03}); go on with:\n  {self._next_command()}")
            return CONTINUED
        reason = said or "the agent gives no reason"
        task_id = one_line(self.known.task_id)
        say(f"lambdaagent: {self._client.agent.key}: the task {task_id} ended as {state.v03}: {reason}")
        return 1

    def _next_command(self) -> str:
        url = self._client.gateway.url
        named = [] if url in (LOCAL, os.environ.get("LAMBDAAGENT_GATEWAY_URL", "").rstrip("/")) else ["--url", url]
        command = ["lambdaagent", "call", *named, self._client.agent.key, "--task", self.known.task_id, "TEXT"]
        return shlex.join(command)


def begin(client: A2aClient, params: Json, *, as_json: bool) -> None:
    """Send the message, and print the id of its task or the task itself. Raises LambdaAgentError."""
    result = client.call("SendMessage", {**params, "configuration": {"returnImmediately": True}})
    if as_json:
        print_json(result, indent=None)
    else:
        print_names([str(result.get("task", {}).get("id", ""))])
