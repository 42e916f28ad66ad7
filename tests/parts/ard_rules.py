"""The rules of ARD's public checker, written again from the specification and its schemas (0.9 and 0.91).

The checker itself is not a package. Each function returns what is wrong with a document; an empty list is a pass.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_URN = re.compile(r"urn:air:[a-zA-Z0-9.-]+(:[a-zA-Z0-9._-]+)+")
_TEXTS = {"tags", "capabilities", "representativeQueries"}
REGISTRY = "application/ai-registry+json"
KNOWN_TYPES = {REGISTRY, "application/ai-catalog+json", "application/a2a-agent-card+json"}


def manifest(found: Any) -> list[str]:
    """Check an `ai-catalog.json` or `ard.json` as the schema of 0.9 does, which is the stricter one."""
    wrong = [f"unknown member {name}" for name in found.keys() - {"specVersion", "host", "entries"}]
    if found.get("specVersion") != "1.0":
        wrong.append("specVersion")
    host = found.get("host", {"displayName": "x"})
    if not host.get("displayName") or host.keys() - {"displayName", "identifier", "documentationUrl", "logoUrl"}:
        wrong.append("host")
    ids = [each.get("identifier") for each in found["entries"]]
    if len(set(ids)) < len(ids):
        wrong.append("an identifier stands twice")
    return wrong + [f"{each.get('identifier')}: {what}" for each in found["entries"] for what in entry(each)]


def entry(found: Any) -> Iterator[str]:
    if not _URN.fullmatch(found.get("identifier", "")):
        yield "identifier"
    if not found.get("displayName"):
        yield "displayName"
    if found.get("type") not in KNOWN_TYPES:
        yield "type"
    if ("url" in found) == ("data" in found):
        yield "exactly one of url and data"
    if "url" in found and not (urlsplit(found["url"]).scheme and urlsplit(found["url"]).hostname):
        yield "url"
    for name in _TEXTS & found.keys():
        if not isinstance(found[name], list) or not all(isinstance(each, str) for each in found[name]):
            yield name
    if not 2 <= len(found.get("representativeQueries", ["", ""])) <= 5:
        yield "representativeQueries"
    if any(isinstance(each, (dict, list)) for each in found.get("metadata", {}).values()):
        yield "metadata"


def search(found: Any, *, referrals: bool) -> list[str]:
    wrong = [f"unknown member {name}" for name in found.keys() - {"results", "referrals", "pageToken"}]
    for each in found["results"]:
        wrong += entry(each)
        points = each.get("score")
        if isinstance(points, bool) or not isinstance(points, int) or not 0 <= points <= 100:
            wrong.append("score")
        if not urlsplit(each.get("source", "")).hostname:
            wrong.append("source")
    if ("referrals" in found) != referrals:
        wrong.append("referrals are for the mode referrals")
    for each in found.get("referrals", ()):
        if each.keys() != {"identifier", "displayName", "type", "url"} or each["type"] != REGISTRY:
            wrong.append("a referral")
        wrong += entry(each)
    return wrong


def listed(found: Any) -> list[str]:
    wrong = [f"unknown member {name}" for name in found.keys() - {"items", "total", "pageToken"}]
    return wrong + [what for each in found["items"] for what in entry(each)]


def error(found: Any, code: str) -> list[str]:
    wrong = [] if found.get("errorCode") == code else [f"errorCode is {found.get('errorCode')}"]
    return wrong + ([] if found.get("message") else ["message"])
