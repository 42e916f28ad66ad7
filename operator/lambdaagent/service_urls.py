"""Checks URLs of services that contain a user and a password, before a connection uses them. Pure.

Hazard: an unescaped reserved character in a password ends that part of the URL, and the rest of the password becomes a
host, a port or a path, which logs show. So such a URL is refused, and no error message repeats it.
"""

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from lambdaagent.errors import UsageError


def checked(secret: str, *, variable: str, schemes: Collection[str], example: str) -> SplitResult:
    """Return the parts of the URL. Raises UsageError, which names the variable and not its value."""
    remedy = "in a user name or password write # as %23, ? as %3F, / as %2F, [ as %5B, @ as %40 and % as %25"
    wrong = UsageError(f"{variable} is not a URL like {example}; {remedy}")
    try:
        parts = urlsplit(secret)
        good = parts.scheme in schemes and parts.port != 0 and bool(parts.hostname or not parts.netloc)
    except ValueError:
        raise wrong from None
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    if not good or "@" in rest or parts.fragment or any(each.isspace() for each in secret):
        raise wrong
    return parts
