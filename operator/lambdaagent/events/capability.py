"""The capability segment of event URLs, `{kid}.{mac}` (design section 4).

Brokers and unchanged containers send no credentials, and their target URLs stand in objects that cannot be changed
later. So the URL is the credential: whoever holds it may speak for one agent (`from`), deliver to one (`to`) or file
dead letters for a namespace. Hazard: such a URL must not be logged, nor echoed in a problem document.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256


class Use(StrEnum):
    FROM = "from"
    TO = "to"
    DEAD_LETTERS = "dead-letters"


def sign(keys: Mapping[str, bytes], *, namespace: str, use: str, agent: str) -> str:
    """Signed under the first key; the others are there to be verified while they are rotated out.

    `agent` is empty where a use has none (dead letters belong to a namespace).
    """
    kid, key = next(iter(keys.items()))
    return f"{kid}.{_mac(key, namespace=namespace, use=use, agent=agent)}"


def verify(segment: str, *, keys: Mapping[str, bytes], namespace: str, use: str, agent: str) -> bool:
    kid, _, mac = segment.partition(".")
    key = keys.get(kid)
    if key is None:
        return False
    expected = _mac(key, namespace=namespace, use=use, agent=agent)
    # Compared as bytes: compare_digest raises on non-ASCII text, and that would tell junk from a wrong mac.
    return hmac.compare_digest(expected.encode(), mac.encode("utf-8", "surrogatepass"))


def _mac(key: bytes, *, namespace: str, use: str, agent: str) -> str:
    # NUL cannot occur in a DNS label, so no two triples give the same bytes.
    text = "\0".join(("lambdaagent-events", namespace, use, agent))
    return urlsafe_b64encode(hmac.digest(key, text.encode(), sha256)).rstrip(b"=").decode()
