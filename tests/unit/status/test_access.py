"""The condition AccessEnforced, and that it never promises what the cluster's network may break."""

from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.settings import AccessMode, Installation
from lambdaagent.status.access import access_enforced

A2A = {"enabled": True}


def decided(a2a: dict[str, Any] | None, access: AccessMode = "enforce", **settings: Any) -> tuple[str, str] | None:
    spec = {"image": {"repository": "r"}} | ({"a2a": a2a} if a2a is not None else {})
    agent = agents.parse({"metadata": {"name": "a", "namespace": "n"}, "spec": spec})
    found = access_enforced(agent, Installation(access=access, **settings))
    return (found.status, found.reason) if found is not None else None


@pytest.mark.parametrize(
    ("a2a", "access", "expected"),
    [
        (A2A, "enforce", ("Unknown", "PastGateway")),
        (A2A, "audit", ("False", "AccessAudited")),
        (A2A, "off", ("False", "AccessOpen")),
        (A2A | {"access": {"public": True}}, "enforce", ("False", "Public")),
        (A2A | {"access": {"grants": [{"principals": ["corp:a"]}]}}, "enforce", ("Unknown", "PastGateway")),
        (A2A | {"mode": "sidecar"}, "enforce", ("Unknown", "PastSidecar")),
        ({"enabled": False}, "enforce", None),
        (None, "enforce", None),
    ],
)
def test_the_condition_says_who_reaches_the_container(
    a2a: dict[str, Any] | None, access: AccessMode, expected: tuple[str, str] | None
) -> None:
    assert decided(a2a, access) == expected


def test_without_a_gateway_there_is_none() -> None:
    assert decided(A2A, gateway_url="") is None


def test_the_message_says_what_closes_the_way() -> None:
    agent = agents.parse(
        {"metadata": {"name": "a", "namespace": "n"}, "spec": {"image": {"repository": "r"}, "a2a": A2A}}
    )
    found = access_enforced(agent, Installation())
    assert found is not None
    for word in ("NetworkPolicy", "mesh", "LambdaAgent-Identity", "Service a"):
        assert word in found.message
