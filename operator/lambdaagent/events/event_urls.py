"""URLs that events are sent to: which agent they belong to, and how to show them. Pure.

Hazard: an event URL of the gateway is a credential (`capability`), and brokers write it into dead letters.
"""

import re
from urllib.parse import urlsplit

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_TO = re.compile(rf"/events/({_LABEL})/to/({_LABEL})(?:/.*)?")
_HOST = re.compile(rf"({_LABEL})\.({_LABEL})\.svc(?:\.[-a-z0-9.]+)?")
_CAPABILITY = re.compile(r"(/events/[^/\s]+/(?:(?:from|to)/[^/\s?#]+|dead-letters)/)[^\s?#/,;()\"']+")
_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s?#]*@", re.IGNORECASE)
_INGRESS = "-broker-ingress"


def agent_of(url: str) -> str:
    """Return "namespace/name" of the agent that this URL reaches in a cluster; empty if it belongs to none.

    The host name is not verified: only the gateway knows whether there is an agent of that name.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if (path := _TO.fullmatch(parts.path)) is not None:
        return f"{path[1]}/{path[2]}"
    if parts.path.startswith("/events/"):
        return ""
    found = _HOST.fullmatch(host)
    if found is None or found[1].endswith(_INGRESS):  # a reply that the Broker's ingress did not accept
        return ""
    return f"{found[2]}/{found[1]}"


def hide(text: str) -> str:
    """Return the text without the capabilities and passwords of the URLs in it."""
    return _PASSWORD.sub(r"\1***@", _CAPABILITY.sub(r"\1***", text))
