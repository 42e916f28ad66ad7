"""A principal as it is stored with what it registered, to check its right again when it is not there. Pure."""

import orjson

from lambdaagent.access import hypothetical
from lambdaagent.access.principal import ANONYMOUS, Principal


def stored(principal: Principal) -> str:
    """Return the principal without its name, which is that of the task's owner."""
    if principal.anonymous:
        return ""
    said = {
        "source": principal.source,
        "groups": sorted(principal.groups),
        "claims": {name: sorted(values) for name, values in sorted(principal.claims.items())},
    }
    return orjson.dumps(said).decode()


def restored(name: str, text: str) -> Principal:
    """Return the principal of this name. Where nothing was stored, it has neither groups nor claims."""
    if not text:
        return _named(name)
    said = orjson.loads(text)
    return Principal(
        name,
        source=said["source"],
        groups=frozenset(said["groups"]),
        claims={claim: frozenset(values) for claim, values in said["claims"].items()},
    )


def _named(name: str) -> Principal:
    try:
        return hypothetical.principal(name, groups=(), claims=(), groups_of_key=lambda _source, _id: ())
    except ValueError:
        return ANONYMOUS
