"""Prints the events of a task for people: its answer to standard output, how it goes on to standard error.

A part is printed once, also if a stream is continued by a whole task.
"""

import binascii
import sys

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import raw_bytes
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.cli.agents.received_files import ReceivedFiles
from lambdaagent.cli.printing import one_line, print_json, say
from lambdaagent.cli.terminal_text import TerminalText, clean
from lambdaagent.errors import LambdaAgentError


class Transcript:
    """`answered` is whether something of the answer was printed."""

    def __init__(self, files: ReceivedFiles | None) -> None:
        self.answered = False
        self.message: Json = {}  # of the task's present status
        self._files = files
        self._text = TerminalText()
        self._at_start = True  # of a line
        self._artifact = ""
        self._shown: dict[str, int] = {}  # parts of artifacts

    def skip(self, task: Json) -> None:
        """Take what a task has for printed already."""
        for artifact in task.get("artifacts", []):
            self._shown[str(artifact.get("artifactId"))] = len(_parts(artifact))

    def take(self, result: Json) -> None:
        """Print what is new. Raises LambdaAgentError."""
        try:
            self._take(result)
        except (AttributeError, KeyError, TypeError, binascii.Error) as error:
            raise LambdaAgentError(f"the answer is not of A2A 1.0: {type(error).__name__} {error}") from None

    def _take(self, result: Json) -> None:
        if "message" in result:
            self.parts(result["message"])
        elif "task" in result:
            self._task(result["task"])
        elif "artifactUpdate" in result:
            update = result["artifactUpdate"]
            self._add(update["artifact"], append=bool(update.get("append")))
        elif "statusUpdate" in result:
            self._status(result["statusUpdate"]["status"])

    def note(self, result: Json) -> None:
        """Keep the message of the present status without printing it."""
        for found in result.values():
            status = found.get("status") if isinstance(found, dict) else None
            message = status.get("message") if isinstance(status, dict) else None
            self.message = message if isinstance(message, dict) else self.message

    def parts(self, message: Json) -> None:
        """Print the parts of a message."""
        self.break_line()
        for part in _parts(message):
            self._part(part)
            self.break_line()

    def break_line(self) -> None:
        """End the line that was begun, and what was begun of an escape sequence."""
        self._text = TerminalText()
        if not self._at_start:
            self._write("\n")

    def _task(self, task: Json) -> None:
        for artifact in task.get("artifacts", []):
            self._add(artifact, append=False, whole=True)
        self._status(task["status"])

    def _add(self, artifact: Json, *, append: bool, whole: bool = False) -> None:
        """Print what is new of an artifact: all of an update, or what a whole one has more than was shown."""
        key, parts = str(artifact.get("artifactId")), _parts(artifact)
        before = self._shown.get(key, 0) if append or whole else 0
        if whole:
            parts = parts[before:]
        if parts and (key != self._artifact or not (append or before)):
            self.break_line()
            self._artifact = key
        for part in parts:
            self._part(part)
        self._shown[key] = before + len(parts)

    def _status(self, status: Json) -> None:
        message = status.get("message")
        self.message = message if isinstance(message, dict) else {}
        state = parse_state(status.get("state"))
        if state is not None and not state.settled and (text := plain_text(self.message)):
            self._aside(f"{state.v03}: {text}")
        elif state is TaskState.COMPLETED and self.message and not self.answered:
            self.parts(self.message)

    def _part(self, part: Json) -> None:
        self.answered = True
        if isinstance(text := part.get("text"), str):
            self._write(self._text.feed(text))
        elif isinstance(raw := part.get("raw"), str):
            self._file(part, raw)
        elif isinstance(url := part.get("url"), str):
            self.break_line()
            self._write(f"{one_line(url)}\n")
        else:
            self.break_line()
            print_json(part.get("data"))
            sys.stdout.flush()

    def _file(self, part: Json, raw: str) -> None:
        name, kind = str(part.get("filename") or "file"), str(part.get("mediaType") or "application/octet-stream")
        data = raw_bytes(raw)
        shown = f"{one_line(name)} ({one_line(kind)}, {len(data)} bytes)"
        if self._files is None:
            self._aside(f"file {shown}: not written; --output DIR writes files")
        else:
            self._aside(f"file {shown}: written to {one_line(str(self._files.write(name, data)))}")

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._at_start = text.endswith("\n")

    def _aside(self, text: str) -> None:
        if sys.stdout.isatty():
            self.break_line()
        say(text)


def plain_text(holder: Json, *, between: str = "\n") -> str:
    """Return the texts of a message or an artifact, as a terminal may get them."""
    return clean(between.join(part["text"] for part in _parts(holder) if isinstance(part.get("text"), str))).strip()


def _parts(holder: Json) -> list[Json]:
    parts = holder.get("parts")
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
