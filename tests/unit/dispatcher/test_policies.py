"""The messages about events that RabbitMQ dead-lettered by a policy."""

import pytest

from lambdaagent.api.agent import parse
from lambdaagent.broker.protocol import Deaths
from lambdaagent.children.topology import Topology, topology
from lambdaagent.dispatcher import policies
from lambdaagent.events.dead_letter_headers import EXPIRED, OWN_EXPIRATION, TOO_MANY, TOO_OFTEN
from lambdaagent.settings import Installation

QUEUE = "lambdaagent.shop.agent.a"
NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def topology_of_a() -> Topology:
    spec = {"image": {"repository": "r"}, "eventing": {"subscriptions": [{"eventType": "t"}]}}
    found = topology(parse({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec}), Installation())
    assert found is not None
    return found


def said(**counts: int) -> str:
    deaths = {(QUEUE, reason): Deaths(count, NOON, NOON) for reason, count in counts.items()}
    deaths["lambdaagent.shop.agent.other", EXPIRED] = Deaths(1, NOON, NOON)
    told = policies.recent(deaths, since=NOON)
    return policies.said(topology_of_a(), namespace="shop", name="a", told=told)


@pytest.mark.parametrize(
    ("reason", "key"),
    [(EXPIRED, "message-ttl"), (TOO_MANY, "max-length or max-length-bytes"), (TOO_OFTEN, "delivery-limit")],
)
def test_the_key_of_the_policy_the_place_and_the_next_steps_are_named(reason: str, key: str) -> None:
    assert said(**{reason: 7}) == (
        "RabbitMQ dead-lettered at least 5 events since 2027-01-15T08:00:00Z, before all attempts were made "
        f"(because of a policy's {key}); they are in lambdaagent.shop.dead-letters; "
        f"see rabbitmqctl list_policies and list_operator_policies, change what applies to {QUEUE}, then: "
        "lambdaagent events dlq redrive --all -n shop --agent a"
    )


def test_several_causes_are_all_named() -> None:
    words = said(expired=1, maxlen=30)
    assert "at least 1 event since" in words and "message-ttl" in words
    assert "at least 20 events since" in words and "max-length" in words


def test_no_policy_is_blamed_for_an_expiration_that_the_event_brought() -> None:
    words = said(**{OWN_EXPIRATION: 2})
    assert "their publisher" in words and "lambdaagent.shop.dead-letters" in words
    assert "polic" not in words


def test_nothing_is_said_of_an_agent_whose_events_live() -> None:
    assert said() == ""


@pytest.mark.parametrize(
    ("count", "least"),
    [(1, 1), (2, 2), (4, 2), (5, 5), (9, 5), (10, 10), (19, 10), (49, 20), (99, 50), (100, 100), (123_456, 100_000)],
)
def test_a_count_is_rounded_down_so_that_a_flood_says_little(count: int, least: int) -> None:
    deaths = {(QUEUE, EXPIRED): Deaths(count, NOON - 5, NOON)}
    assert policies.recent(deaths, since=NOON) == {(QUEUE, EXPIRED): policies.PolicyReport(least, NOON - 5)}


def test_what_is_long_past_is_left_out() -> None:
    assert policies.recent({(QUEUE, EXPIRED): Deaths(1, NOON, NOON)}, since=NOON + 0.1) == {}
