"""Whom it concerns when the types that are subscribed to on a Broker change."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.api import agent as agents
from lambdaagent.children.base import AgentKey
from lambdaagent.controller.subscribers import Interests
from lambdaagent.settings import Installation

BROKER: AgentKey = ("n", "lambdaagents")


def agent(*, takes: tuple[str, ...] = (), emits: tuple[str, ...] = (), **eventing: Any) -> agents.LambdaAgent:
    eventing |= {"subscriptions": [{"eventType": kind} for kind in takes], "intents": list(emits)}
    spec = {"image": {"repository": "r"}, "eventing": eventing}
    return agents.parse({"metadata": {"name": "a", "namespace": "n"}, "spec": spec})


def test_an_emitter_is_woken_by_the_first_taker_and_by_the_last_one_that_leaves() -> None:
    interests = Interests(Installation())
    assert interests.put(("n", "emitter"), agent(emits=("a.b",))) == set()
    assert interests.put(("n", "one"), agent(takes=("a.b",))) == {("n", "emitter")}
    assert interests.put(("n", "two"), agent(takes=("a.b", "c.d"))) == set()
    assert interests.put(("n", "one"), None) == set()
    assert interests.on(BROKER) == {"a.b", "c.d"}
    assert interests.put(("n", "two"), agent(takes=("c.d",))) == {("n", "emitter")}
    assert interests.on(BROKER) == {"c.d"}


def test_a_type_without_its_usual_prefix_is_the_same_type() -> None:
    interests = Interests(Installation())
    interests.put(("n", "emitter"), agent(emits=("chat.intent.status",)))
    assert interests.put(("n", "taker"), agent(takes=("io.homelab.chat.intent.status",))) == {("n", "emitter")}


def test_agents_on_another_broker_hear_nothing() -> None:
    interests = Interests(Installation())
    interests.put(("n", "emitter"), agent(emits=("a.b",)))
    assert interests.put(("n", "alone"), agent(takes=("a.b",), broker={"dedicated": True})) == set()
    assert interests.on(BROKER) == set()


def test_wildcards_take_nothing_because_they_match_nothing() -> None:
    interests = Interests(Installation())
    interests.put(("n", "taker"), agent(takes=("a.*",)))
    assert interests.on(BROKER) == set()


_TYPES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3).map(sorted).map(tuple)
_CHANGES = st.tuples(st.sampled_from(["x", "y", "z"]), st.none() | st.tuples(_TYPES, _TYPES))


@given(st.lists(_CHANGES, max_size=20))
def test_after_any_history_it_knows_what_a_fresh_one_would(history: list[Any]) -> None:
    grown, last = Interests(Installation()), {}
    for name, part in history:
        before = set(grown.on(BROKER))
        made = agent(takes=part[0], emits=part[1]) if part else None
        woken = grown.put(("n", name), made)
        last[name] = made
        changed = before ^ set(grown.on(BROKER))
        emitters = {
            ("n", other) for other, found in last.items() if found and changed & set(found.spec.eventing.intents)
        }
        assert woken == emitters - {("n", name)}
    fresh = Interests(Installation())
    for name, made in last.items():
        fresh.put(("n", name), made)
    assert grown.on(BROKER) == fresh.on(BROKER)
