"""One CloudEvent, version 1.0, as a plain value.

The class of the `cloudevents` library is not used: it fills in a missing id and time and re-serialises JSON data, and
an event that passes through here must leave byte for byte as it came. `Event` itself does not validate, so that events
made in code are not validated twice; readers of external bytes use `from_attributes`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lambdaagent.events.errors import InvalidAttributeError, MissingAttributeError, TooManyError

SPEC_VERSION = "1.0"
Value = str | int | bool

REQUIRED = ("id", "source", "type")
OPTIONAL = ("datacontenttype", "subject", "time", "dataschema")
_CORE = frozenset((*REQUIRED, *OPTIONAL, "specversion"))
_RESERVED = frozenset((*_CORE, "data", "data_base64"))
_NAME = re.compile(r"[a-z0-9]+")
# CloudEvents 1.0, 3.4 Type System: no control characters, no surrogates, no non-characters.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_MOST_ATTRIBUTES = 128
_INT_MAX, _INT_MIN = 2**31 - 1, -(2**31)


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    source: str
    type: str
    data: bytes = b""
    datacontenttype: str | None = None
    subject: str | None = None
    time: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, Value] = field(default_factory=dict)
    """Names are [a-z0-9]+; `traceparent` is an extension."""

    def attributes(self) -> dict[str, Value]:
        """Return all context attributes without the data, `specversion` included; absent ones are left out."""
        attributes: dict[str, Value] = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
        }
        if self.datacontenttype is not None:
            attributes["datacontenttype"] = self.datacontenttype
        if self.subject is not None:
            attributes["subject"] = self.subject
        if self.time is not None:
            attributes["time"] = self.time
        if self.dataschema is not None:
            attributes["dataschema"] = self.dataschema
        attributes.update(self.extensions)
        return attributes


def from_attributes(attributes: Mapping[str, Any], *, data: bytes = b"") -> Event:
    """Return a validated event from a carrier's attributes. An attribute that is None counts as absent.

    Raises MissingAttributeError or InvalidAttributeError, which name the attribute, or TooManyError.
    """
    version = attributes.get("specversion")
    if version is None or version == "":
        raise MissingAttributeError("specversion")
    if version != SPEC_VERSION:
        raise InvalidAttributeError("specversion", f"is {str(version)[:32]!r}; this gateway accepts {SPEC_VERSION!r}")
    core: dict[str, str] = {}
    for name in REQUIRED:
        value = attributes.get(name)
        if value is None or value == "":
            raise MissingAttributeError(name)
        core[name] = _string(name, value)
    for name in OPTIONAL:
        value = attributes.get(name)
        # An empty optional attribute counts as absent; senders write it, above all over AMQP.
        if value is not None and value != "":
            core[name] = _string(name, value)
    if "time" in core:
        _check_time(core["time"])
    if len(attributes) > _MOST_ATTRIBUTES:
        raise TooManyError(f"the event has {len(attributes)} attributes; the maximum is {_MOST_ATTRIBUTES}")
    extensions = {
        name: _extension(name, value) for name, value in attributes.items() if name not in _CORE and value is not None
    }
    return Event(**core, data=data, extensions=extensions)


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidAttributeError(name, f"must be a string, not {type(value).__name__}")
    if _FORBIDDEN.search(value):
        raise InvalidAttributeError(name, "contains a control character or another character that CloudEvents forbids")
    return value


def _check_time(value: str) -> None:
    problem = "must be a timestamp of RFC 3339, such as 2026-01-31T12:00:00Z"
    if not _TIME.fullmatch(value):
        raise InvalidAttributeError("time", problem)
    try:
        # Fractions may have any length in RFC 3339; datetime takes six digits, and only the date and time need a check.
        datetime.fromisoformat(value[:19].upper())
    except ValueError:
        raise InvalidAttributeError("time", problem) from None


def _extension(name: str, value: Any) -> Value:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InvalidAttributeError(name[:64], "is not an extension name: lower-case letters and digits only")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise InvalidAttributeError(name, "must fit into 32 bits")
        return value
    return _string(name, value)
