"""What is kept of the agent card of an external A2A server, and where its requests go. Pure.

Hazard: the server is the card's author. So the card leads to no other origin than the URL that the agent's author gave,
its size is bounded, and what is left out of it is named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import orjson

from lambdaagent.a2a import Json, container_card, interfaces
from lambdaagent.a2a.versions import Version
from lambdaagent.api.container_card import MOST_EXTENSIONS, MOST_SKILLS
from lambdaagent.api.external import External

_MOST_NOTES = 5
_LOOKED_AT = 1000  # interfaces, skills
_LONGEST_URL = 2048
_TEXTS, _LISTS = ("name", "description", "version"), ("skills", "supportedInterfaces", "additionalInterfaces")


class CardProblemError(ValueError):
    """The server cannot be called by this card; the message is the reason."""


@dataclass(frozen=True, slots=True)
class CheckedCard:
    """`kept` is what status keeps; `other_origin` and `notes` say what of the card is not followed, and not used."""

    kept: Json
    other_origin: str = ""
    notes: tuple[str, ...] = ()


def revision(external: External, protocol: str, content: str = "") -> str:
    """Return the revision of what a server says; without `content`, its beginning, which tells the server."""
    named = f"{protocol} {external.url} {external.card_url or ''}"
    return f"{sha256(named.encode()).hexdigest()[:12]}-{content}"


def of_content(kept: Json) -> str:
    """Return a text that differs between contents of cards."""
    return sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def checked(card: Any, external: External) -> CheckedCard:
    """Raises CardProblemError."""
    if not isinstance(card, dict):
        raise CardProblemError("its agent card is not an object")
    offered: dict[Version, list[str]] = {}
    for version, url in islice(interfaces.json_rpc(card), _LOOKED_AT):
        if isinstance(url, str):
            offered.setdefault(version, []).append(url)
    chosen = next((each for each in Version if each in offered), None)
    if chosen is None:
        raise CardProblemError("its agent card offers no JSON-RPC interface of A2A 1.0 or 0.3")
    followed = next((url for url in offered[chosen] if _usable(url, external.url)), None)
    said = "" if followed else _origin(offered[chosen][0]) or "an address that cannot be called"
    kept = container_card.kept(card, revision="")
    kept["endpoint"] = {
        "url": followed or external.url,
        "protocolVersion": str(chosen),
        "streaming": interfaces.streams(card),
    }
    kept["revision"] = revision(external, "a2a", of_content(kept))
    return CheckedCard(kept, said, tuple(islice(_notes(card, kept), _MOST_NOTES)))


def same_origin(url: str, other: str) -> bool:
    return bool(_origin(url)) and _origin(url) == _origin(other)


def _usable(url: str, given: str) -> bool:
    plain = len(url) <= _LONGEST_URL and url.isascii() and url.isprintable() and " " not in url
    return plain and same_origin(url, given)


def _origin(url: str) -> str:
    """Return scheme, host and port; empty if there is none, or if there is a user or password."""
    try:
        parts = urlsplit(url[:_LONGEST_URL])
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return ""
    host = parts.hostname or ""
    plain = host and host.isprintable() and "@" not in parts.netloc
    return f"{parts.scheme}://{host[:253]}:{port}" if plain else ""


def _notes(card: Json, kept: Json) -> Iterator[str]:
    for name in _TEXTS:
        if not isinstance(card.get(name), str):
            yield f"{name} is not a text"
    for name in _LISTS:
        if name in card and not isinstance(card[name], list):
            yield f"{name} is not a list"
    if "capabilities" in card and not isinstance(card["capabilities"], dict):
        yield "capabilities is not an object"
    capabilities = card.get("capabilities")
    extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    for name, given, most in (("skills", card.get("skills"), MOST_SKILLS), ("extensions", extensions, MOST_EXTENSIONS)):
        count, left = len(given) if isinstance(given, list) else 0, len(kept.get(name, ()))
        if count > left:
            why = "the others are no objects with an id of their own, or too large"
            yield f"of {count} {name}, {left} are used: at most {most} are, and {why}"
