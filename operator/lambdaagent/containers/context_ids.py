"""The context id that a container gets: another one for each owner, so that no caller reaches another one's context.

Clients choose context ids, and containers keep conversations by them. The id is derived from the owner and the client's
id alone, so every replica derives the same, and nothing is stored. It is a UUID of version 8 (RFC 9562), because some
frameworks accept no other form. Tasks of anonymous callers keep the client's id.

Invariant: two owners never have the same id, so a client's id that a container might read as a derived one is derived
too.
"""

import re
import unicodedata
from hashlib import sha256

from lambdaagent.a2a import Json

_ANONYMOUS = "anonymous"
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-(?P<version>[0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = frozenset("abcdef")
_FEWEST = 20  # digits of a text that a container may read as a UUID: some parsers add leading zeros


def of_container(context_id: str, *, owner: str) -> str:
    if owner == _ANONYMOUS and not _may_be_derived(context_id):
        return context_id
    # An owner's name is printable, so it contains no NUL.
    digits = sha256(f"{owner}\0{context_id}".encode("utf-8", "surrogatepass")).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def in_message(message: Json, context_id: str) -> Json:
    """Return the message with the container's context id, if it has one at all."""
    return {**message, "contextId": context_id} if "contextId" in message else message


def _may_be_derived(context_id: str) -> bool:
    """Parsers of UUIDs accept more than its form: Python's takes digits of every script, Go's ignores what is around
    the UUID, and .NET's has forms with more digits. So only the plain form says that it is another version.
    """
    text = unicodedata.normalize("NFKC", context_id).lower()
    if (plain := _UUID.fullmatch(text)) is not None:
        return plain["version"] == "8"
    return sum(each in _HEX or each.isdecimal() for each in text) >= _FEWEST
