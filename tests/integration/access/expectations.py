"""What every caller gets for every row of the table of routes: a naive second table, written by hand.

It shares no code with `lambdaagent.access`. An action without a line here makes the matrix fail.
"""

ALL = {"invoke", "read", "cancel", "push", "card", "discover"}
# What each caller may do with `shop/echo`. The others have a credential that is refused, or none.
MAY: dict[str, set[str]] = {
    "alice": ALL,
    "bob": ALL,
    "key": ALL,
    "agent": ALL,
    "reader": {"read", "discover"},
    "invoker": {"invoke", "discover"},
    "group": ALL,
    "eve": set(),
    "root": ALL,
}
REFUSED = ("garbage", "expired", "audience", "issuer", "signature", "revoked")
"""Callers whose credential is refused."""
SEES_ALL = ("root",)
# What happens with a row of the gateway itself: everybody is served, or only those who are named.
GATEWAY: dict[str, str] = {
    "observe": "everybody",
    "discover": "identified or nobody",  # a list without what the caller may not know of
    "emit": "capability",
    "deliver": "capability",
    "store-dead-letters": "capability",
    "publish": "administrators",
}
NAMED = ("mcp", "mcp-namespace")
"""Rows of the gateway whose callers need an identity: by the refusal, a host learns where to get a token."""
LISTS = ("agents", "api-catalog", "ai-catalog", "ard-manifest", "ard-agents", "ard-agent")
"""Rows of the gateway that show the agents of which the caller may know."""
OPEN = ("jwks", "protected-resource", "protected-resource-of")
"""Rows of the gateway that ask for no credential: keys, and where to get a credential."""


def of_agent(mode: str, caller: str, action: str, *, public: bool = False) -> str:
    """Returns what happens before the operation is looked at: served, unauthorized, hidden or forbidden."""
    if mode != "enforce":
        return "served"
    if caller in REFUSED:
        return "unauthorized"
    if public and action != "card":
        return "served"
    if caller == "nobody":
        return "unauthorized"
    if public:
        return "served" if caller in SEES_ALL else "forbidden"
    if not MAY[caller]:
        return "hidden"
    return "served" if action in MAY[caller] else "forbidden"


def of_task(mode: str, caller: str, action: str, whose: str) -> str:
    """Returns what a caller who may do it finds of a task: `own`, `bob's`, `anonymous's` or `absent`."""
    if whose == "absent":
        return "no task"
    if whose == "own":
        return "served"
    if mode != "off" and caller in SEES_ALL and action != "push":  # they hold credentials of their owners
        return "served"
    unknown = mode == "off" or caller == "nobody" or caller in REFUSED
    if whose == "anonymous's":
        return "served" if unknown else "no task"
    return "served" if caller == "bob" and mode != "off" else "no task"


def of_gateway(mode: str, caller: str, row: str, action: str) -> str:
    kind = GATEWAY[action]
    if mode != "enforce" or kind in ("everybody", "capability") or row in OPEN:
        return "served"
    if caller in REFUSED or (row in NAMED and caller == "nobody"):
        return "unauthorized"
    if kind == "administrators" and caller not in SEES_ALL:
        return "unauthorized" if caller == "nobody" else "forbidden"
    if row == "ard-agent" and caller in ("nobody", "eve"):
        return "hidden"  # its identifier is that of an agent, which they may not know of
    return "served"


def of_method(mode: str, caller: str, method: str) -> str:
    """Returns what happens with a method of the extension that needs no agent, and whose parameters are missing."""
    if mode != "enforce":
        return "served"
    if caller in REFUSED:
        return "unauthorized"
    if method == "message.send":
        return "served"  # without a sender, nobody's right is asked for
    if caller == "nobody":
        return "unauthorized"
    return "forbidden" if method == "agent.register" and caller not in SEES_ALL else "served"
