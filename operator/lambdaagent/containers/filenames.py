"""File names in Content-Disposition headers (RFC 6266): read, and written so that they cannot break the head."""

from email.errors import HeaderParseError
from email.message import Message
from urllib.parse import quote

_LONGEST = 255
_LONGEST_HEADER = 2048
"""Characters. The parser's time grows with the square of the length, and a container's head may be much longer."""
_PLAIN = frozenset("!#$&+-.^_`|~ ()[]{}@=,;'")


def read(header: str | None) -> str:
    """Return the file's name without a path; empty if the header names none or cannot be read."""
    if not header or len(header) > _LONGEST_HEADER:
        return ""
    message = Message()
    try:
        message["Content-Disposition"] = header.replace("\r", " ").replace("\n", " ")
        found = message.get_filename() or ""
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return ""
    name = found.replace("\\", "/").rpartition("/")[2].strip()
    return "".join(character for character in name if character.isprintable())[:_LONGEST]


def header(name: str) -> str:
    """Return the header for a name. One that is not plain ASCII is given only in the extended form.

    Every current client reads that form.
    """
    name = name[:_LONGEST]
    if all((character.isascii() and character.isalnum()) or character in _PLAIN for character in name):
        return f'attachment; filename="{name}"'
    return f"attachment; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
