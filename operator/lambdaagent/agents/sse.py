"""Server-sent events, read from a whole text (WHATWG HTML, 9.2.6)."""

from collections.abc import Iterator


def messages(text: str) -> Iterator[str]:
    """The data of each event that has any; comments and other fields are passed over."""
    lines: list[str] = []
    for line in text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if lines:
                yield "\n".join(lines)
            lines = []
        elif line == "data" or line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
    # A stream cut before its last blank line still said what it said.
    if lines:
        yield "\n".join(lines)
