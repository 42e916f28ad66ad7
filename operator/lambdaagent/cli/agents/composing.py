"""Makes the message of a call from text, JSON and files. Everything is limited in size before it is sent."""

import mimetypes
import sys
import uuid
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from lambdaagent.a2a import Json
from lambdaagent.cli.coordination.client import data as read_data
from lambdaagent.errors import UsageError

MOST_BYTES = 32 * 1024 * 1024
"""Of all that one message sends; a gateway accepts 10 MiB unless its settings say otherwise."""


def parts(text: str | None, data: str, files: Sequence[str]) -> list[Json]:
    """Return the parts of a message. Raises UsageError."""
    found: list[Json] = []
    if text is not None:
        found.append({"text": _utf8(text)})
    if data:
        found.append({"data": read_data(data), "mediaType": "application/json"})
    left = MOST_BYTES
    for name in files:
        content = _content(name, left)
        left -= len(content)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        found.append({"raw": b64encode(content).decode(), "filename": _utf8(Path(name).name), "mediaType": kind})
    if not found:
        raise UsageError("there is nothing to send: give TEXT, --data or --file; TEXT - is standard input")
    return found


def message(content: list[Json], *, skill: str = "", context: str = "", task: str = "") -> Json:
    """Return the parameters of a call with the message."""
    made: Json = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": content}
    made |= {"contextId": context} if context else {}
    made |= {"taskId": task} if task else {}
    made |= {"metadata": {"skillId": skill}} if skill else {}
    return {"message": made}


def standard_input() -> str:
    """Return all of standard input as text. Raises UsageError."""
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(f"standard input has more than {MOST_BYTES} bytes, which is the most that is sent")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError("standard input is not text in UTF-8; send it as a file with --file PATH") from None


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("an argument is not text in UTF-8; send it as a file with --file PATH") from None
    return text


def _content(name: str, left: int) -> bytes:
    try:
        with Path(name).open("rb") as opened:
            content = opened.read(left + 1)
    except OSError as error:
        raise UsageError(f"--file {name}: cannot be read: {error.strerror}") from None
    if len(content) > left:
        raise UsageError(f"--file {name}: is too large: the files of a message may have {MOST_BYTES} bytes together")
    return content
