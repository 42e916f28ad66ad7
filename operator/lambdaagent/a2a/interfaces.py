"""The JSON-RPC interfaces that an agent card offers, of either version. Pure."""

from collections.abc import Iterator
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.versions import Version


def json_rpc(card: Json) -> Iterator[tuple[Version, Any]]:
    """Yield version and URL of each interface in the card's order of preference; a URL may be anything."""
    interfaces = card.get("supportedInterfaces")
    for each in interfaces if isinstance(interfaces, list) else ():
        if isinstance(each, dict) and each.get("protocolBinding") == "JSONRPC":
            version = Version.V03 if str(each.get("protocolVersion", "")).startswith("0.") else Version.V1
            yield version, each.get("url")
    # 0.3's form: the preferred transport is at the card's URL, the others are listed separately.
    preferred = {"transport": card.get("preferredTransport", "JSONRPC"), "url": card.get("url")}
    others = card.get("additionalInterfaces")
    for each in [preferred, *(others if isinstance(others, list) else [])]:
        if isinstance(each, dict) and each.get("transport") == "JSONRPC" and isinstance(each.get("url"), str):
            yield Version.V03, each["url"]


def streams(card: Json) -> bool:
    capabilities = card.get("capabilities")
    return isinstance(capabilities, dict) and capabilities.get("streaming") is True
