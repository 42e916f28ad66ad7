"""A caller that somebody asks about, by its name: what its credential would say is said beside it. Pure."""

from collections.abc import Callable, Iterable

from lambdaagent.access.principal import (
    AGENT,
    ANONYMOUS,
    HMAC,
    KEY,
    RESERVED,
    SERVICE_ACCOUNT,
    SERVICE_ACCOUNTS_OF,
    WITHOUT_CLAIMS,
    Principal,
)

GroupsOfKey = Callable[[str, str], Iterable[str]]
"""Returns the groups that the installation gives the owner of a key, by `key` or `hmac` and its id."""


def principal(name: str, *, groups: Iterable[str], claims: Iterable[str], groups_of_key: GroupsOfKey) -> Principal:
    """Return the caller; `claims` are texts such as `team=payments`. Raises ValueError."""
    if name == ANONYMOUS.name:
        return ANONYMOUS
    source, colon, id_ = name.partition(":")
    if not colon or not id_:
        raise ValueError(f"{name} has no source; write it as corp:alice, key:ci or anonymous")
    values: dict[str, set[str]] = {}
    for each in claims:
        claim, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"the claim {each} has no '='; write it as team=payments")
        values.setdefault(claim, set()).add(value)
    member = set(groups)
    if name.startswith(SERVICE_ACCOUNT):
        source = "kubernetes"
        member.add(SERVICE_ACCOUNTS_OF + name.removeprefix(SERVICE_ACCOUNT).partition(":")[0])
        member.update(("system:serviceaccounts", "system:authenticated"))
    elif source in (KEY, HMAC):
        member.update(groups_of_key(source, id_))
    elif source in RESERVED - {AGENT}:
        raise ValueError(f"{source} is no source of callers")
    if values and source in WITHOUT_CLAIMS:
        raise ValueError(f"only tokens of issuers have claims, and {name} has none")
    return Principal(
        name,
        source=source,
        groups=frozenset(member),
        claims={claim: frozenset(each) for claim, each in values.items()},
    )
