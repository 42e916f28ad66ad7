"""URLs that events are sent to: whose they are, and how they are shown. Pure.

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
    """ "namespace/name" of the agent that is reached by this URL in a cluster; empty where it is none's.

    A host name is taken at its word: whether there is an agent of that name only the gateway knows.
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
    if found is None or found[1].endswith(_INGRESS):  # a reply that the Broker itself did not take
        return ""
    return f"{found[2]}/{found[1]}"


def hide(text: str) -> str:
    """The text without the capabilities and passwords of the URLs in it."""
    return _PASSWORD.sub(r"\1***@", _CAPABILITY.sub(r"\1***", text))
