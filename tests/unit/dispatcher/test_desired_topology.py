"""The topology on RabbitMQ for some agents."""

from typing import Any

import pytest

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.broker.bindings import Binding
from lambdaagent.dispatcher.desired_topology import is_watched, picture
from lambdaagent.events.cloudevents import Event
from lambdaagent.settings import Installation

INSTALLATION = Installation()


def agent(
    name: str, *, namespace: str = "shop", permissions: dict[str, Any] | None = None, **eventing: Any
) -> LambdaAgent:
    spec = {"image": {"repository": "r"}, "eventing": eventing} | ({"permissions": permissions} if permissions else {})
    return parse({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def subscribed(*types: str) -> dict[str, Any]:
    return {"subscriptions": [{"eventType": each} for each in types]}


def test_agents_of_one_broker_share_its_exchange() -> None:
    found = picture([agent("a", **subscribed("t", "u")), agent("b", **subscribed("t"))], INSTALLATION)
    (exchange,) = found.exchanges.values()
    assert exchange.queues == {
        "lambdaagent.shop.agent.a": (Binding({"type": "t"}), Binding({"type": "u"})),
        "lambdaagent.shop.agent.b": (Binding({"type": "t"}),),
    }
    assert exchange.dead_letters == "lambdaagent.shop.dead-letters"


def test_an_agent_without_eventing_needs_nothing() -> None:
    plain = parse({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"image": {"repository": "r"}}})
    assert picture([plain, agent("b", enabled=False)], INSTALLATION).exchanges == {}


def test_a_forward_binds_the_other_broker_s_exchange_by_type() -> None:
    forward = {"eventTypes": ["t", "u.*"], "targetAgent": "b", "targetNamespace": "bank"}
    there = agent("b", namespace="bank", **subscribed("t"))
    here = agent("a", permissions={"allowedTargetNamespaces": ["bank"]}, forwards=[forward, forward])
    found = picture([here, there], INSTALLATION).exchanges["lambdaagent.shop.lambdaagents"]
    assert found.forwards == {"lambdaagent.bank.lambdaagents": (Binding({"type": "t"}),)}


def test_a_forward_that_is_not_allowed_binds_nothing() -> None:
    forward = {"eventTypes": ["t"], "targetAgent": "b", "targetNamespace": "bank"}
    there = agent("b", namespace="bank", **subscribed("t"))
    found = picture([agent("a", forwards=[forward]), there], INSTALLATION).exchanges["lambdaagent.shop.lambdaagents"]
    assert found.forwards == {}


@pytest.mark.parametrize(
    ("eventing", "kind", "source", "wanted"),
    [
        pytest.param(subscribed("a.*"), "a.b.c", "/s", True, id="a prefix"),
        pytest.param(subscribed("a.*"), "ab", "/s", False, id="not the prefix"),
        pytest.param(subscribed("a?c", "x"), "abc", "/s", True, id="one character"),
        pytest.param(subscribed("a[b]*"), "a[b]c", "/s", True, id="no other marks"),
        pytest.param(subscribed("a*", "x"), "x", "/s", True, id="a whole type beside a pattern"),
        pytest.param(
            {"subscriptions": [{"eventType": "a*", "source": "/me*"}]}, "ab", "/you", False, id="a pattern of sources"
        ),
        pytest.param({**subscribed("a"), "skipOwn": True, "eventSource": "/own"}, "a", "/own", False, id="its own"),
    ],
)
def test_of_what_arrives_only_what_was_asked_for_is_wanted(
    eventing: dict[str, Any], kind: str, source: str, wanted: bool
) -> None:
    (topology,) = picture([agent("a", **eventing)], INSTALLATION).agents.values()
    assert topology.wants(Event("1", source, kind)) is wanted


@pytest.mark.parametrize(
    ("exchange", "namespaces", "watched"),
    [
        ("lambdaagent.shop.lambdaagents", ("bank", "shop"), True),
        ("lambdaagent.shop.lambdaagents", ("shop",), True),
        ("lambdaagent.shop.lambdaagents", ("bank",), False),
        ("somebody.else.entirely", ("else",), False),
        ("orders", ("shop",), False),
    ],
)
def test_only_exchanges_of_watched_namespaces_may_be_taken_away(
    exchange: str, namespaces: tuple[str, ...], watched: bool
) -> None:
    assert is_watched(exchange, lambda namespace: namespace in namespaces) is watched
