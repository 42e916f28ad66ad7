"""Webhooks that start jobs: who sent a request is proven by its signature over the body.

- `github`: `X-Hub-Signature-256`, the HMAC of the body.
- `slack`: `X-Slack-Signature`, the HMAC of version, time and body; a request older than five minutes is refused.
- `generic`: Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), refused likewise.

Signatures are compared in constant time. The sender's id of a delivery makes a repetition the same job.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import Field

from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import BadBodyError, Body, loads

Kind = Literal["github", "slack", "generic"]
_PATIENCE = 300.0  # seconds
_LONGEST = 255  # characters of a sender's id
_PREFIX = "whsec_"


class Hook(Body):
    kind: Kind = "generic"
    secret: Annotated[str, Field(min_length=16, max_length=255, pattern=r"^[!-~]+$")] | None = None
    """The shared secret; without it the gateway makes one, which is shown once."""


class BadSignatureError(Exception):
    """The request is not proven to be of the hook's sender; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a webhook says: `id` is the sender's for this delivery. A `challenge` is answered and starts nothing."""

    id: str
    event: str
    payload: Any = None
    challenge: str | None = None

    @property
    def input_data(self) -> Json:
        return {"event": self.event, "delivery": self.id, "payload": self.payload}


def read(kind: str, secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> Delivery:
    """Return what the request says. Raises BadSignatureError, BadBodyError. `headers` ignores case."""
    if kind == "github":
        return _github(secret, headers, body)
    if kind == "slack":
        return _slack(secret, headers, body, now=now)
    return _standard(secret, headers, body, now=now)


def _github(secret: str, headers: Mapping[str, str], body: bytes) -> Delivery:
    _require(headers.get("X-Hub-Signature-256", ""), "sha256=" + _hex(secret.encode(), body))
    event = _header(headers, "X-GitHub-Event")[:100]
    payload = _form(body).get("payload", "").encode() if _is_form(headers) else body
    challenge = "" if event == "ping" else None
    return Delivery(_header(headers, "X-GitHub-Delivery"), event, loads(payload), challenge)


def _slack(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> Delivery:
    at = headers.get("X-Slack-Request-Timestamp", "")
    _require_recent(at, now=now)
    _require(headers.get("X-Slack-Signature", ""), "v0=" + _hex(secret.encode(), b"v0:" + at.encode() + b":" + body))
    if _is_form(headers):
        form = _form(body)
        payload = loads(form["payload"].encode()) if "payload" in form else form
        trigger = payload.get("trigger_id", "") if isinstance(payload, dict) else ""
        return Delivery(str(trigger)[:_LONGEST], form.get("command", "interaction")[:100], payload)
    payload = loads(body)
    if not isinstance(payload, dict):
        raise BadBodyError("the body must be a JSON object")
    challenge = payload.get("challenge") if payload.get("type") == "url_verification" else None
    inner = payload.get("event")
    event = inner.get("type") if isinstance(inner, dict) else payload.get("type")
    return Delivery(
        str(payload.get("event_id", ""))[:_LONGEST],
        str(event or "event")[:100],
        payload,
        str(challenge)[:1000] if challenge is not None else None,
    )


def _standard(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> Delivery:
    """Follow Standard Webhooks 1.0."""
    id_, at = _header(headers, "webhook-id"), headers.get("webhook-timestamp", "")
    _require_recent(at, now=now)
    if not id_:
        raise BadSignatureError("the header webhook-id is missing")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else None
    except binascii.Error:
        key = None
    signed = f"{id_}.{at}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key or secret.encode(), signed, sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split()[:10]
    if not any(_same(each, wanted) for each in given):
        raise BadSignatureError("the signature does not fit the body and the secret")
    payload = loads(body)
    event = payload.get("type") if isinstance(payload, dict) else None
    return Delivery(id_, event[:100] if isinstance(event, str) else "event", payload)


def _header(headers: Mapping[str, str], name: str) -> str:
    """Raises BadSignatureError for what no sender writes."""
    found = headers.get(name, "")
    if not (found.isascii() and found.isprintable() and len(found) <= _LONGEST):
        raise BadSignatureError(f"the header {name} is not at most {_LONGEST} printable characters of ASCII")
    return found


def _hex(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, sha256).hexdigest()


def _require(given: str, wanted: str) -> None:
    if not given:
        raise BadSignatureError("the request has no signature")
    if not _same(given, wanted):
        raise BadSignatureError("the signature does not fit the body and the secret")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _require_recent(at: str, *, now: float) -> None:
    if not (at.isascii() and at.isdigit() and len(at) < 15):
        raise BadSignatureError("the time of the request is missing")
    if abs(now - int(at)) > _PATIENCE:
        raise BadSignatureError("the request is older than five minutes, or of the future")


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=100, strict_parsing=True))
    except ValueError as error:
        raise BadBodyError(f"the body is no form: {str(error)[:100]}") from None
