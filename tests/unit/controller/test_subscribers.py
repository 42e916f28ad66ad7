"""Which agents a change of the subscriptions on a Broker concerns."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.api import agent as agents
from lambdaagent.children.base import AgentKey
from lambdaagent.controller.subscribers import Subscribers
from lambdaagent.settings import Installation

BROKER: AgentKey = ("n", "lambdaagents")


def agent(*, takes: tuple[str, ...] = (), emits: tuple[str, ...] = (), **eventing: Any) -> agents.LambdaAgent:
    eventing |= {"subscriptions": [{"eventType": kind} for kind in takes], "intents": list(emits)}
    spec = {"image": {"repository": "r"}, "eventing": eventing}
    return agents.parse({"metadata": {"name": "a", "namespace": "n"}, "spec": spec})


def test_an_emitter_is_woken_by_the_first_taker_and_by_the_last_one_that_leaves() -> None:
    subscribers = Subscribers(Installation())
    assert subscribers.put(("n", "emitter"), agent(emits=("a.b",))) == set()
    assert subscribers.put(("n", "one"), agent(takes=("a.b",))) == {("n", "emitter")}
    assert subscribers.put(("n", "two"), agent(takes=("a.b", "c.d"))) == set()
    assert subscribers.put(("n", "one"), None) == set()
    assert subscribers.on(BROKER) == {"a.b", "c.d"}
    assert subscribers.put(("n", "two"), agent(takes=("c.d",))) == {("n", "emitter")}
    assert subscribers.on(BROKER) == {"c.d"}


def test_a_type_without_its_usual_prefix_is_the_same_type() -> None:
    subscribers = Subscribers(Installation())
    subscribers.put(("n", "emitter"), agent(emits=("chat.intent.status",)))
    assert subscribers.put(("n", "taker"), agent(takes=("io.homelab.chat.intent.status",))) == {("n", "emitter")}


def test_agents_on_another_broker_hear_nothing() -> None:
    subscribers = Subscribers(Installation())
    subscribers.put(("n", "emitter"), agent(emits=("a.b",)))
    assert subscribers.put(("n", "alone"), agent(takes=("a.b",), broker={"dedicated": True})) == set()
    assert subscribers.on(BROKER) == set()


def test_wildcards_take_nothing_because_they_match_nothing() -> None:
    subscribers = Subscribers(Installation())
    subscribers.put(("n", "taker"), agent(takes=("a.*",)))
    assert subscribers.on(BROKER) == set()


_TYPES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3).map(sorted).map(tuple)
_CHANGES = st.tuples(st.sampled_from(["x", "y", "z"]), st.none() | st.tuples(_TYPES, _TYPES))


@given(st.lists(_CHANGES, max_size=20))
def test_after_any_history_it_knows_what_a_fresh_one_would(history: list[Any]) -> None:
    grown, last = Subscribers(Installation()), {}
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
    fresh = Subscribers(Installation())
    for name, made in last.items():
        fresh.put(("n", name), made)
    assert grown.on(BROKER) == fresh.on(BROKER)
