"""Fields of a request as ProtoJSON writes them: two spellings of a name, null for unset, integers as strings.

Each reader returns the value, or a default if it is unset, and appends violations to `found`, so that all violations of
a request are reported at once.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation

Found = list[Violation]
ID_LIMIT = 1024
_TEXTS = 256
_INT32 = 2**31 - 1


def renamed(value: Json, names: Mapping[str, str]) -> Json:
    """Return a copy without nulls and with camelCase names; a camelCase name that is there already takes precedence."""
    if names.keys().isdisjoint(value):  # the common case, and much cheaper
        return {key: each for key, each in value.items() if each is not None}
    return {
        names[key] if key in names and value.get(names[key]) is None else key: each
        for key, each in value.items()
        if each is not None and (key not in names or value.get(names[key]) is None)
    }


def identifier(value: Any, found: Found, *, at: str, required: bool = True) -> str:
    """Return the id; an empty string is ProtoJSON's "unset"."""
    if value in (None, ""):
        if required:
            found.append(Violation(at, "is required and must be a string"))
        return ""
    if not is_identifier(value):
        found.append(Violation(at, f"must be a string of at most {ID_LIMIT} characters without NUL"))
        return ""
    return value


def is_identifier(value: Any) -> TypeGuard[str]:
    """Return whether it can be an id: no store can be queried for text with NUL, so no object has such a one."""
    return isinstance(value, str) and 0 < len(value) <= ID_LIMIT and "\0" not in value


def integer(value: Any, found: Found, *, at: str, least: int = 0, most: int = _INT32) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        found.append(Violation(at, f"must be a whole number from {least} to {most}"))
        return None
    return value


def boolean(value: Any, found: Found, *, at: str) -> bool:
    """Return the flag, which may be a query string's text."""
    if value in (None, False, "false"):
        return False
    if value in (True, "true"):
        return True
    found.append(Violation(at, "must be true or false"))
    return False


def text(value: Any, found: Found, *, at: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        found.append(Violation(at, "must be a string"))
        return ""
    return value


def texts(value: Any, found: Found, *, at: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        found.append(Violation(at, "must be a list of strings"))
        return ()
    if len(value) > _TEXTS:
        found.append(Violation(at, f"contains {len(value)} strings; the maximum is {_TEXTS}"))
        return ()
    return tuple(value)


def mapping(value: Any, found: Found, *, at: str) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        found.append(Violation(at, "must be an object"))
        return {}
    return value
