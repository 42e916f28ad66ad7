"""The claims of a JWT (RFC 7519), checked beyond what the library checks. Pure.

The library accepts a claim that occurs twice, and takes the last: a reader in front that takes the first sees another
subject. It accepts any type of token, any encoding of JSON and an expiry in a thousand years. So header and payload are
parsed and checked here, with the caller's clock.
"""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from lambdaagent import bounded_json
from lambdaagent.identity.errors import CredentialError

Claims = Mapping[str, Any]
SKEW = 30.0  # seconds by which two clocks may differ
LONGEST = 24 * 3600.0  # seconds from issue to expiry
TYPES = frozenset(("jwt", "at+jwt", "application/at+jwt"))
_VALUES, _LEVELS, _NAMES, _TEXT = 5_000, 16, 64, 256


def parse(payload: bytes, *, what: str = "claims") -> Claims:
    """Raises CredentialError for anything but one JSON object, in UTF-8, in which no name occurs twice."""
    try:
        bounded_json.require_few_values(payload, most=_VALUES)
        if _deep(payload):
            raise ValueError
        found = json.loads(payload.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        message = f"The token's {what} are not one JSON object of different names."
        raise CredentialError("malformed", message) from None
    if not isinstance(found, dict):
        raise CredentialError("malformed", f"The token's {what} are not a JSON object.")
    return found


def require_type(header: Claims, types: Collection[str] = TYPES) -> None:
    """Raises CredentialError for a token of another type (RFC 8725 section 3.11). Many issuers name none."""
    if "typ" not in header:
        return
    kind = header["typ"]
    if not isinstance(kind, str) or kind.lower() not in types:
        raise CredentialError("wrong-type", "The token is of another type than an access token.")


def require_valid(
    claims: Claims, *, issuer: str, audiences: Collection[str], now: float, longest: float = LONGEST
) -> float:
    """Return the expiry in seconds since the epoch. Raises CredentialError."""
    if claims.get("iss") != issuer:
        raise CredentialError("wrong-issuer", "The token is of another issuer.")
    given = claims.get("aud")
    named = given if isinstance(given, list) else [given]
    if not any(isinstance(each, str) and each in audiences for each in named):
        raise CredentialError("wrong-audience", "The token is for another audience.")
    expires = _time(claims, "exp")
    if expires is None:
        raise CredentialError("no-expiry", "The token has no expiry.")
    if expires + SKEW <= now:
        raise CredentialError("expired", "The token has expired.")
    issued = _time(claims, "iat")
    if issued is not None and issued - SKEW > now:
        raise CredentialError("not-yet-valid", "The token was issued in the future.")
    starts = _time(claims, "nbf")
    if starts is not None and starts - SKEW > now:
        raise CredentialError("not-yet-valid", "The token is not valid yet.")
    if expires - (now if issued is None else issued) > longest + SKEW:
        raise CredentialError("too-long", f"The token is valid for more than {longest / 3600:g} h.")
    return expires


def text(claims: Claims, name: str, *, most: int = _TEXT) -> str:
    """Return a claim that names somebody. Raises CredentialError."""
    value = claims.get(name)
    if isinstance(value, str) and 0 < len(value) <= most and value.isprintable() and not value.isspace():
        return value
    raise CredentialError("malformed", f"The token's claim {name[:64]} is not a text of at most {most} characters.")


def texts(claims: Claims, path: str) -> list[str]:
    """Return the values of a claim that is a text or a list of texts. `path` is its name, or leads to it by dots."""
    value: Any = claims
    if path in claims:
        value = claims[path]
    else:
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str) and 0 < len(each) <= _TEXT and each.isprintable()]


def flat(claims: Claims) -> dict[str, frozenset[str]]:
    """Return the values of all claims that are texts, numbers, booleans or lists of texts, for rules to compare."""
    found: dict[str, frozenset[str]] = {}
    for name, value in list(claims.items())[:_NAMES]:
        if isinstance(value, bool):
            found[name] = frozenset(("true" if value else "false",))
        elif isinstance(value, int):
            found[name] = frozenset((str(value)[:_TEXT],))
        elif values := texts({name: value}, name):
            found[name] = frozenset(values)
    return found


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53 or math.isnan(value):
        raise CredentialError("malformed", f"The token's claim {name} is not a time.")
    return float(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _refuse(_: str) -> None:
    raise ValueError("not a number of JSON")


def _deep(payload: bytes) -> bool:
    """Return whether brackets are nested too deep. Those within texts count too, and no honest token has so many."""
    if payload.count(b"[") + payload.count(b"{") <= _LEVELS:
        return False
    level = deepest = 0
    for byte in payload:
        if byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest > _LEVELS
