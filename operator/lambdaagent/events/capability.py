"""The capability segment of event URLs, `{kid}.{mac}`.

Brokers and unmodified containers send no credentials, and their target URLs are in objects that cannot be changed
later. So the URL is the credential: its holder may send events as one agent (`from`), deliver events to one agent
(`to`) or store dead letters of a namespace. Hazard: such a URL must not be logged or returned in a problem document.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from enum import StrEnum
from hashlib import sha256


class Use(StrEnum):
    FROM = "from"
    TO = "to"
    DEAD_LETTERS = "dead-letters"


def sign(keys: Mapping[str, bytes], *, namespace: str, use: str, agent: str) -> str:
    """Return the segment, signed with the first key; the other keys only verify until they are rotated out.

    `agent` is empty for a use without one (dead letters belong to a namespace).
    """
    kid, key = next(iter(keys.items()))
    return f"{kid}.{_mac(key, namespace=namespace, use=use, agent=agent)}"


def verify(segment: str, *, keys: Mapping[str, bytes], namespace: str, use: str, agent: str) -> bool:
    kid, _, mac = segment.partition(".")
    key = keys.get(kid)
    if key is None:
        return False
    expected = _mac(key, namespace=namespace, use=use, agent=agent)
    # Compared as bytes: compare_digest raises on non-ASCII text, which would distinguish such input from a wrong mac.
    return hmac.compare_digest(expected.encode(), mac.encode("utf-8", "surrogatepass"))


def hashed(segment: str) -> str:
    """Return what a process holds that checks a segment and must not know it: whoever reads it cannot send events."""
    return sha256(segment.encode("utf-8", "surrogatepass")).hexdigest()


def is_one_of(segment: str, hashes: Collection[str]) -> bool:
    digest = hashed(segment)
    return any(hmac.compare_digest(digest, each) for each in hashes)


def _mac(key: bytes, *, namespace: str, use: str, agent: str) -> str:
    # A DNS label cannot contain NUL, so different triples give different bytes.
    text = "\0".join(("lambdaagent-events", namespace, use, agent))
    return urlsafe_b64encode(hmac.digest(key, text.encode(), sha256)).rstrip(b"=").decode()
