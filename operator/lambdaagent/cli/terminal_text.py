"""Text of others for a terminal: line breaks and tabs stay, whatever else a terminal would obey is removed.

Escape sequences may arrive in pieces, so a stream needs one filter for all of its text.
"""

import re

from lambdaagent.cli.printing import HIDDEN

_LONGEST = 4096  # characters of an escape sequence; what comes after them is text again
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI, such as colours and movements of the cursor
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"  # strings, such as a title
    "|\x1b[ -/]*[0-OQ-WYZ\\\\`-~]"
)
_UNFINISHED = re.compile(
    "(?:(?:\x1b\\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*\x1b?|\x1b[ -/]*)\\Z"
)
_CONTROLS = re.compile(f"[\x00-\x08\x0b-\x1f{HIDDEN}\ud800-\udfff]")


class TerminalText:
    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the next text without control characters; an unfinished sequence is held back."""
        text = _SEQUENCE.sub("", self._held + text)
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished[0] if unfinished is not None and len(unfinished[0]) <= _LONGEST else ""
        return _CONTROLS.sub("", text[: len(text) - len(self._held)])


def clean(text: str) -> str:
    """Return a whole text as a terminal may get it."""
    return TerminalText().feed(text)
