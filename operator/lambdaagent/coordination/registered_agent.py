"""An agent elsewhere that registered itself, or was registered, by HTTP."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from lambdaagent.a2a import Json

Status = Literal["active", "inactive", "suspended"]
MISSED = 3
"""Heartbeats after which an agent is inactive."""
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_MADE = re.compile(r"-[0-9a-f]{16}\Z")


class IdTakenError(Exception):
    """Another principal registered this id, even if it deleted it since."""


class TooManyAgentsError(Exception):
    """The principal has as many agents as it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAgent:
    agent_id: str
    name: str
    label: str  # its name in the gateway's paths
    created_by: str  # the principal that registered it, and owns it
    protocol: str  # `a2a`, `mcp` or `http`; `mailbox` without an endpoint
    description: str = ""
    version: str = ""
    endpoint_url: str = ""
    capabilities: Any = field(default_factory=list)
    agent_card: Json = field(default_factory=dict)
    access: Json = field(default_factory=dict)  # as spec.a2a.access
    metadata: Json = field(default_factory=dict)
    status: str = "active"
    ttl_seconds: int = 60
    load: float = 0.0  # 0 idle, 1 full
    last_heartbeat: float = 0.0
    card_place: str = ""  # the URL of the card
    card_etag: str = ""
    card_checked_at: float = 0.0
    card_problem: str = ""
    created_at: float = 0.0
    modified_at: float = 0.0


def label_of(agent_id: str) -> str:
    """Return the name of an agent in paths: its id if that is a label, else one that no other id has.

    An id that looks like such a name gets one too, so that nobody takes the name of another.
    """
    if _LABEL.fullmatch(agent_id) and not _MADE.search(agent_id):
        return agent_id
    plain = re.sub("[^a-z0-9]+", "-", agent_id.lower()).strip("-")[:46].strip("-") or "agent"
    return f"{plain}-{sha256(agent_id.encode()).hexdigest()[:16]}"


def capability_names(capabilities: Any) -> frozenset[str]:
    """Return the names by which an agent is found, of capabilities in each form that requirements 001 and 003 have."""
    return frozenset(_names(capabilities))


def _names(capabilities: Any) -> Iterable[str]:
    if isinstance(capabilities, str):
        yield capabilities
    elif isinstance(capabilities, list):
        for each in capabilities:
            if isinstance(each, str):
                yield each
            elif isinstance(each, dict) and isinstance(each.get("name"), str):
                yield each["name"]
    elif isinstance(capabilities, dict):
        for name, value in capabilities.items():
            if isinstance(value, list):
                yield from _names(value)
            elif value:
                yield name
