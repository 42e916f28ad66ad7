"""The condition AccessEnforced, and that it never promises what the cluster's network may break."""

from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.settings import AccessMode, Installation, ServingBackend
from lambdaagent.status.access import access_enforced
from lambdaagent.status.conditions import ApplyFailure, World
from lambdaagent.status.readiness import Readiness

A2A = {"enabled": True}
CLOSED = A2A | {"access": {"networkPolicy": True}}
POLICY = ("networking.k8s.io/v1", "NetworkPolicy", "a")
THERE = World(live={POLICY: {}})


def condition(
    a2a: dict[str, Any] | None,
    access: AccessMode = "enforce",
    *,
    serving: ServingBackend = "kubernetes",
    world: World = THERE,
    eventing: dict[str, Any] | None = None,
    **settings: Any,
) -> Readiness | None:
    spec = {"image": {"repository": "r"}, "a2a": a2a, "eventing": eventing}
    spec = {key: value for key, value in spec.items() if value is not None}
    agent = agents.parse({"metadata": {"name": "a", "namespace": "n"}, "spec": spec})
    installation = Installation(access=access, **settings)
    made = plan(agent, installation=installation, backends=Backends(serving, "knative"), observed=Observed())
    return access_enforced(agent, installation, made, world)


def decided(a2a: dict[str, Any] | None, access: AccessMode = "enforce", **more: Any) -> tuple[str, str] | None:
    found = condition(a2a, access, **more)
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
        (CLOSED, "enforce", ("True", "NetworkPolicy")),
        (CLOSED, "audit", ("False", "AccessAudited")),
        (CLOSED, "off", ("False", "AccessOpen")),
        (CLOSED | {"mode": "sidecar"}, "enforce", ("True", "NetworkPolicy")),
        (A2A | {"access": {"networkPolicy": True, "public": True}}, "enforce", ("False", "Public")),
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


@pytest.mark.parametrize(("serving", "named"), [("kubernetes", True), ("knative", False)])
def test_the_message_says_what_closes_the_way(serving: ServingBackend, named: bool) -> None:
    found = condition(A2A, serving=serving)
    assert found is not None
    for word in ("mesh", "LambdaAgent-Identity", "Service a"):
        assert word in found.message
    assert ("spec.a2a.access.networkPolicy" in found.message) is named


def test_a_policy_that_does_not_exist_closes_nothing() -> None:
    assert decided(CLOSED, world=World()) == ("Unknown", "NotCreated")
    failed = World(failures={POLICY: ApplyFailure("Forbidden", "no right")})
    assert decided(CLOSED, world=failed) == ("False", "Forbidden")
    # On Knative none is made, and one of another's does not count.
    assert decided(CLOSED, serving="knative") == ("Unknown", "PastGateway")


def test_the_promise_names_its_conditions() -> None:
    found = condition(CLOSED)
    assert found is not None
    for word in ("NetworkPolicy a", "network plugin enforces", "no other policy"):
        assert word in found.message
    assert "Triggers" not in found.message
    with_events = condition(CLOSED, eventing={"enabled": True})
    assert with_events is not None
    assert "Triggers" in with_events.message
